//! Times several contenders in turn, so that what the machine does meanwhile affects all of them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use multiversion::multiversion;

/// Runs at the start of a turn that do not count: the contender before has filled the caches.
const UNCOUNTED: usize = 2;
/// Runs in a turn that count.
const COUNTED: usize = 8;
/// The pause before a cold run, after which caches and processor clock are as in a host.
const SLEEP: Duration = Duration::from_millis(20);

/// Something that is timed.
pub struct Contender<'a> {
    name: &'a str,
    run: Box<dyn FnMut() + 'a>,
    /// Nanoseconds.
    warm: Histogram<u64>,
    cold: Histogram<u64>,
}

impl<'a> Contender<'a> {
    pub fn new(name: &'a str, run: impl FnMut() + 'a) -> Result<Self> {
        let histogram = || Histogram::new(3);
        Ok(Self { name, run: Box::new(run), warm: histogram()?, cold: histogram()? })
    }

    fn time(&mut self) -> u64 {
        let start = Instant::now();
        (self.run)();
        start.elapsed().as_nanos() as u64
    }

    fn take_turn(&mut self) -> Result<()> {
        (0..UNCOUNTED).for_each(|_| (self.run)());
        for _ in 0..COUNTED {
            let time = self.time();
            self.warm.record(time)?;
        }
        std::thread::sleep(SLEEP);
        let time = self.time();
        Ok(self.cold.record(time)?)
    }
}

/// Gives each contender a turn in each of `rounds`, and prints a table. Each ratio says how often the contender whose
/// name is bold goes into this one's median.
pub fn compete(title: &str, contenders: &mut [Contender<'_>], rounds: usize) -> Result<()> {
    for _ in 0..rounds {
        contenders.iter_mut().try_for_each(Contender::take_turn)?;
    }
    println!("| {title} | warm: p50 | p99 | ratio | after 20 ms: p50 | p99 | ratio |");
    println!("|---|---|---|---|---|---|---|");
    let median = |histogram: &Histogram<u64>| histogram.value_at_quantile(0.5) as f64;
    let unit = contenders.iter().position(|contender| contender.name.starts_with("**")).unwrap_or(0);
    let units = [median(&contenders[unit].warm), median(&contenders[unit].cold)];
    for Contender { name, warm, cold, .. } in contenders.iter() {
        let cells = [(warm, units[0]), (cold, units[1])].map(|(histogram, unit)| {
            let us = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
            format!("{:.1} | {:.1} | {:.2}", us(0.5), us(0.99), median(histogram) / unit)
        });
        println!("| {name} | {} | {} |", cells[0], cells[1]);
    }
    println!();
    Ok(())
}

/// The bytes that a step reads, in memory of their own: a network's step cannot take less than reading them.
pub struct Floor {
    /// By the number of the matrices.
    parts: Vec<Vec<u64>>,
    /// The parts in the order in which a step reads them.
    order: Vec<usize>,
}

impl Floor {
    /// `reads` are the numbers of matrices and their bytes, in the order in which a step reads them.
    pub fn new(reads: &[(usize, usize)]) -> Self {
        let mut parts = Vec::new();
        for &(part, bytes) in reads {
            parts.resize(parts.len().max(part + 1), Vec::new());
            parts[part] = vec![1; bytes / 8];
        }
        Self { parts, order: reads.iter().map(|(part, _)| *part).collect() }
    }

    pub fn read(&self) {
        for &part in &self.order {
            black_box(sum(&self.parts[part]));
        }
    }
}

/// Adds everything up, in vector registers: adding takes less time than loading.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn sum(numbers: &[u64]) -> u64 {
    let (chunks, rest) = numbers.as_chunks::<64>();
    let mut sums = [0_u64; 64];
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum = sum.wrapping_add(*x));
    }
    sums.iter().chain(rest).fold(0, |sum, x| sum.wrapping_add(*x))
}
