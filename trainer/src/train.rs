//! The training loop: epochs, validation, early stopping, and the best weights kept.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use candle_core::Device;
use continuo_model::network::{Network, Training as Dropout};
use continuo_model::random::SplitMix64;
use continuo_model::stream::StreamingNetwork;
use continuo_model::weights_file::{Description, FORMAT, Weights};
use indicatif::{ProgressBar, ProgressStyle};

use crate::TrainArgs;
use crate::averaging::Averages;
use crate::batches::Batch;
use crate::checkpoint::{self, Progress};
use crate::material::Material;
use crate::optimisers::Optimiser;
use crate::recipe::Recipe;

struct Run {
    recipe: Recipe,
    material: Material,
    network: Network,
    optimiser: Optimiser,
    averages: Averages,
    progress: Progress,
    device: Device,
}

/// Trains as the command line asks.
pub fn run(args: &TrainArgs) -> Result<()> {
    let (mut recipe, recipe_text) = Recipe::read(&args.recipe)?;
    let device = open_device(args.device)?;
    let material = Material::read(args, &mut recipe)?;
    let network = Network::init(recipe.network.clone(), args.rng_seed, &device)?;
    let training = &recipe.training;
    let optimiser = Optimiser::new(training.optimiser, training.weight_decay, network.trainable())?;
    let averages = Averages::new(&network, training.averaging)?;
    let progress = Progress {
        epochs_done: 0,
        best_loss: f64::INFINITY,
        best_epoch: 0,
        rng_seed: args.rng_seed,
        recipe: recipe_text,
        optimiser: optimiser.progress(),
    };
    let mut run = Run { recipe, material, network, optimiser, averages, progress, device };
    let checkpoint_path = checkpoint::path_beside(&args.out);
    if args.resume {
        run.resume(&checkpoint_path)?;
    } else {
        ensure!(
            !checkpoint_path.exists(),
            "{}: a run was broken off here; go on with --resume, or delete the file to start afresh",
            checkpoint_path.display()
        );
    }
    let (train, valid) = run.material.num_pieces();
    println!(
        "{}: {} parameters, {train} pieces to train on, {valid} to judge by",
        run.recipe.name,
        run.recipe.network.num_parameters()
    );
    run.epochs(&args.out, &checkpoint_path)?;
    std::fs::remove_file(&checkpoint_path).ok();
    println!(
        "{}: {:.4} {} on `{}`, reached in epoch {}",
        args.out.display(),
        run.progress.best_loss,
        run.material.unit(),
        run.recipe.split.1,
        run.progress.best_epoch
    );
    Ok(())
}

fn open_device(device: crate::Device) -> Result<Device> {
    match device {
        crate::Device::Cpu => Ok(Device::Cpu),
        crate::Device::Cuda if cfg!(feature = "cuda") => Device::new_cuda(0)
            .context("--device cuda: expected an NVIDIA GPU with its driver; leave the flag out to train on the CPU"),
        crate::Device::Cuda => bail!(
            "--device cuda: this trainer was built without it; build it where CUDA's nvcc is, with \
             `cargo run -r -p trainer --features cuda -- train ...`"
        ),
    }
}

impl Run {
    fn resume(&mut self, path: &Path) -> Result<()> {
        let saved = checkpoint::load(path, &self.network, &mut self.optimiser, &mut self.averages)?;
        ensure!(
            saved.recipe == self.progress.recipe,
            "{}: was made by another recipe; use that one, or delete the file to start afresh",
            path.display()
        );
        ensure!(
            saved.rng_seed == self.progress.rng_seed,
            "{}: was made with --rng-seed {}, got {}; use the same",
            path.display(),
            saved.rng_seed,
            self.progress.rng_seed
        );
        self.progress = saved;
        Ok(())
    }

    fn epochs(&mut self, out: &Path, checkpoint_path: &Path) -> Result<()> {
        let (epochs, patience) = (self.recipe.training.epochs, self.recipe.training.patience);
        while self.progress.epochs_done < epochs {
            let epoch = self.progress.epochs_done;
            if epoch >= self.progress.best_epoch + patience {
                println!("no better validation loss in {patience} epochs: stopped");
                break;
            }
            let train_loss = self.epoch(epoch)?;
            let (weights, valid_loss) = self.validate()?;
            self.progress.epochs_done = epoch + 1;
            let better = valid_loss < self.progress.best_loss;
            if better {
                self.progress.best_loss = valid_loss;
                self.progress.best_epoch = epoch + 1;
                weights.write(out)?;
            }
            self.progress.optimiser = self.optimiser.progress();
            checkpoint::save(checkpoint_path, &self.network, &mut self.optimiser, &self.averages, &self.progress)?;
            let note = if better { "  best so far" } else { "" };
            println!("epoch {:>3}/{epochs}  train {train_loss:.4}  valid {valid_loss:.4}{note}", epoch + 1);
        }
        Ok(())
    }

    /// One pass over the corpus; returns its mean loss, in the material's unit.
    fn epoch(&mut self, epoch: usize) -> Result<f64> {
        let training = &self.recipe.training;
        // Its own stream for every epoch, so that a resumed run goes on with the same numbers.
        let mut rng = SplitMix64::new(self.progress.rng_seed.wrapping_add((epoch as u64) << 32));
        let batches = self.material.epoch(&self.recipe, &mut rng);
        let per_unit = self.material.targets_per_unit();
        let learning_rate = training.learning_rate_at(epoch);
        let style = "epoch {prefix} [{bar:30}] {pos}/{len} batches  {msg}  {eta} left";
        let bar = ProgressBar::new(batches.len() as u64)
            .with_style(ProgressStyle::with_template(style)?.progress_chars("=> "));
        bar.set_prefix(format!("{}/{}", epoch + 1, training.epochs));
        bar.enable_steady_tick(Duration::from_millis(500));
        let (mut sum, mut cells) = (0.0, 0.0);
        for n in 0..batches.len() {
            let batch = batches.batch(n, &self.device)?;
            let logits = self.network.forward(&batch.inputs, Some(Dropout { rng: &mut rng }))?;
            let (loss, count) = weighted_cross_entropy(&logits, &batch)?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            ensure!(
                value.is_finite(),
                "epoch {}, batch {n}: expected a finite loss, got {value}; lower training.learning_rate",
                epoch + 1
            );
            self.optimiser.step(&loss.backward()?, learning_rate, training.clip_norm)?;
            self.averages.update(&self.network, self.optimiser.progress().0)?;
            sum += value * count;
            cells += count / per_unit;
            bar.set_message(format!(
                "loss {:.4}  rate {learning_rate:.1e}  {:.0}/s",
                sum / cells,
                cells / bar.elapsed().as_secs_f64()
            ));
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(sum / cells)
    }

    /// The weights as they are now, with their figures, and their loss.
    fn validate(&self) -> Result<(Weights, f64)> {
        let mut weights = Weights::of_network(&self.averages.network(&self.network)?, self.description())?;
        let network = StreamingNetwork::new(weights.clone()).map_err(anyhow::Error::msg)?;
        let (loss, figures) = self.material.judge(&network, &self.recipe.split.1);
        weights.description.figures = figures;
        Ok((weights, loss))
    }

    fn description(&self) -> Description {
        let (vocabulary, lexicon) = self.material.vocabulary();
        Description {
            format: FORMAT,
            name: self.recipe.name.clone(),
            config: self.recipe.network.clone(),
            vocabulary,
            lexicon,
            recipe: self.progress.recipe.clone(),
            corpora: self.recipe.corpora.clone(),
            commit: commit(),
            figures: BTreeMap::new(),
        }
    }
}

/// The mean loss over the cells that are there, and how many they are.
fn weighted_cross_entropy(logits: &candle_core::Tensor, batch: &Batch) -> Result<(candle_core::Tensor, f64)> {
    let log_probs = candle_nn::ops::log_softmax(logits, 1)?;
    let chosen = log_probs.gather(&batch.targets.unsqueeze(1)?, 1)?.squeeze(1)?;
    let count = f64::from(batch.weights.sum_all()?.to_scalar::<f32>()?);
    let loss = ((chosen * &batch.weights)?.sum_all()? * (-1.0 / count))?;
    Ok((loss, count))
}

/// The commit that this runs from, or empty where git does not say.
fn commit() -> String {
    let output = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_string(),
        _ => String::new(),
    }
}
