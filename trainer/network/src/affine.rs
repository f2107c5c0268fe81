//! Matrix product plus bias as one differentiable operation on the CPU.
//!
//! candle's own operations broadcast the bias over all rows. The gradient then writes and reads several tensors of the
//! size of the output, which for the gates of an LSTM is the largest tensor of all.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::product::{Matrix, Output, contiguous, multiply, with_numbers};

/// Computes `x * weight + bias`, (rows, outputs), for `x` (rows, inputs), `weight` (inputs, outputs) and `bias`
/// (outputs).
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn affine(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() {
        x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Affine)
    } else {
        affine_by_parts(x, weight, bias)
    }
}

/// The same in candle's own operations: for other devices, and as reference for tests.
fn affine_by_parts(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.contiguous()?.matmul(weight)?.broadcast_add(bias)
}

struct Affine;

impl CustomOp3 for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, inputs) = x_layout.shape().dims2()?;
        let outputs = bias_layout.shape().dims1()?;
        if weight_layout.dims() != [inputs, outputs] {
            bail!("affine: expected a weight of [{inputs}, {outputs}], got {:?}", weight_layout.dims());
        }
        let x = contiguous(self.name(), x, x_layout)?;
        let weight = contiguous(self.name(), weight, weight_layout)?;
        let mut y = contiguous(self.name(), bias, bias_layout)?.repeat(rows);
        multiply(Matrix::rows(x, rows, inputs), Matrix::rows(weight, inputs, outputs), &mut y, Output::Add);
        Ok((CpuStorage::F32(y), (rows, outputs).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rows, inputs) = x.dims2()?;
        let outputs = bias.dim(0)?;
        let (mut grad_x, mut grad_weight) = (vec![0.0; rows * inputs], vec![0.0; inputs * outputs]);
        let mut grad_bias = vec![0.0_f32; outputs];
        with_numbers(grad, |grad| {
            let of_output = || Matrix::rows(grad, rows, outputs);
            with_numbers(weight, |weight| {
                let weight = Matrix::rows(weight, inputs, outputs).transposed();
                multiply(of_output(), weight, &mut grad_x, Output::Overwrite);
                Ok(())
            })?;
            with_numbers(x, |x| {
                multiply(Matrix::rows(x, rows, inputs).transposed(), of_output(), &mut grad_weight, Output::Overwrite);
                Ok(())
            })?;
            for row in grad.chunks_exact(outputs) {
                grad_bias.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
            Ok(())
        })?;
        Ok((
            Some(Tensor::from_vec(grad_x, x.shape(), x.device())?),
            Some(Tensor::from_vec(grad_weight, weight.shape(), weight.device())?),
            Some(Tensor::from_vec(grad_bias, bias.shape(), bias.device())?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use continuo_model::random::SplitMix64;

    #[test]
    fn the_result_and_gradients_equal_those_of_candle() {
        let mut rng = SplitMix64::new(4);
        let mut var = |shape: &[usize]| {
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.next_f32() - 0.5).collect();
            Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap()
        };
        let (x, weight, bias, scale) = (var(&[7, 5]), var(&[5, 3]), var(&[3]), var(&[7, 3]));
        let run = |affine: fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor>| -> Vec<Vec<f32>> {
            let y = affine(&x, &weight, &bias).unwrap();
            let grads = (y.sqr().unwrap() * scale.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap();
            let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let grad = |var: &Var| values(grads.get(var).unwrap());
            vec![values(&y), grad(&x), grad(&weight), grad(&bias)]
        };
        let (fast, plain) = (run(affine), run(affine_by_parts));
        for (fast, plain) in fast.iter().flatten().zip(plain.iter().flatten()) {
            assert!((fast - plain).abs() < 1e-5, "{fast} {plain}");
        }
        let wrong = affine(&x, &scale, &bias).unwrap_err().to_string();
        assert!(wrong.contains("expected a weight of [5, 3], got [7, 3]"), "{wrong}");
    }
}
