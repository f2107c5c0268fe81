//! The training loop: epochs, validation and early stopping. Keeps the best weights.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use candle_core::Device;
use continuo_model::random::SplitMix64;
use continuo_model::weights_file::{Description, FORMAT, Weights};
use continuo_network::optimisers::Optimiser;
use continuo_network::{Network, Training as Dropout};

use crate::TrainArgs;
use crate::averaging::Averages;
use crate::checkpoint::{self, BegunEpoch, Progress};
use crate::kinds::{self, Material, Music};
use crate::losses::cross_entropy;
use crate::progress_bar::EpochBar;
use crate::recipe::Recipe;
use crate::training_log::{self, EpochRow};
use crate::{fine_tuning, interrupt, own_past};

struct Run {
    recipe: Recipe,
    material: Box<dyn Material>,
    network: Network,
    optimiser: Optimiser,
    averages: Averages,
    progress: Progress,
    device: Device,
    out: PathBuf,
    checkpoint: PathBuf,
}

/// How a run ends.
enum Ended {
    Finished,
    /// By Ctrl-C, with everything saved.
    BrokenOff,
}

/// Trains as the command line describes.
pub fn run(args: &TrainArgs) -> Result<()> {
    let (mut recipe, recipe_text) = Recipe::read(&args.recipe)?;
    let device = open_device(args.device)?;
    let start = args.from.as_deref().map(|path| Weights::read(path).map(|weights| (path, weights))).transpose()?;
    let music = Music { paths: &args.data, strict: args.strict };
    let weights = start.as_ref().map(|(_, weights)| weights);
    let material = kinds::of(&recipe.network).material(&recipe, music, weights)?;
    recipe.network = material.config();
    let network = Network::init(recipe.network.clone(), args.rng_seed, &device)?;
    let vocabulary = material.vocabulary().0;
    if let Some((path, weights)) = start.filter(|_| !args.resume) {
        fine_tuning::start_from(path, &weights, &network, &vocabulary)?;
    }
    let training = &recipe.training;
    let optimiser = Optimiser::new(training.optimiser, training.weight_decay, network.trainable())?;
    let averages = Averages::new(&network, training.averaging)?;
    let progress = Progress {
        epochs_done: 0,
        best_loss: None,
        best_epoch: 0,
        rng_seed: args.rng_seed,
        recipe: recipe_text,
        vocabulary,
        optimiser: optimiser.progress(),
        log: Vec::new(),
        begun: None,
    };
    let (out, checkpoint) = (args.out.clone(), checkpoint::path_beside(&args.out));
    let mut run = Run { recipe, material, network, optimiser, averages, progress, device, out, checkpoint };
    if args.resume {
        run.resume()?;
    } else {
        ensure!(
            !run.checkpoint.exists(),
            "{}: this run was interrupted; continue with --resume, or delete the file to start from the beginning",
            run.checkpoint.display()
        );
    }
    interrupt::watch()?;
    let (train, valid) = run.material.num_pieces();
    println!(
        "{}: {} parameters, {train} pieces to train on, {valid} to validate on",
        run.recipe.name,
        run.recipe.network.num_parameters()
    );
    if matches!(run.epochs()?, Ended::BrokenOff) {
        println!(
            "{}: interrupted in epoch {} and saved; continue with\n{}",
            run.checkpoint.display(),
            run.progress.epochs_done + 1,
            interrupt::command_to_go_on()
        );
        std::process::exit(interrupt::EXIT_CODE);
    }
    std::fs::remove_file(&run.checkpoint).ok();
    std::fs::remove_file(own_past::path_beside(&args.out)).ok();
    println!(
        "{}: {:.4} {} on `{}`, reached in epoch {}",
        args.out.display(),
        run.progress.best_loss.unwrap_or(f64::INFINITY),
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
            "--device cuda: this trainer was built without CUDA; install CUDA's nvcc and build it with \
             `cargo run -r -p trainer --features cuda -- train ...`"
        ),
    }
}

impl Run {
    fn resume(&mut self) -> Result<()> {
        let path = self.checkpoint.display();
        let saved = checkpoint::load(&self.checkpoint, &self.network, &mut self.optimiser, &mut self.averages)?;
        ensure!(
            saved.recipe == self.progress.recipe,
            "{path}: this run used another recipe; use that one, or delete the file to start from the beginning"
        );
        ensure!(
            saved.rng_seed == self.progress.rng_seed,
            "{path}: this run used --rng-seed {}, got {}; use the same seed",
            saved.rng_seed,
            self.progress.rng_seed
        );
        ensure!(
            saved.vocabulary == self.progress.vocabulary,
            "{path}: this run used another vocabulary ({}, got {}); use the same --data and --from",
            saved.vocabulary,
            self.progress.vocabulary
        );
        self.progress = saved;
        Ok(())
    }

    fn epochs(&mut self) -> Result<Ended> {
        let (epochs, patience) = (self.recipe.training.epochs, self.recipe.training.patience);
        while self.progress.epochs_done < epochs {
            let epoch = self.progress.epochs_done;
            if epoch >= self.progress.best_epoch + patience {
                println!("stopped after {patience} epochs without a better validation loss");
                break;
            }
            let start = Instant::now();
            let (begun, rate) = self.epoch(epoch, start)?;
            let Some(rate) = rate else {
                self.progress.begun = Some(begun);
                self.save()?;
                return Ok(Ended::BrokenOff);
            };
            let tokens_per_second = begun.cells / (begun.seconds + start.elapsed().as_secs_f64());
            let (weights, valid) = self.validate()?;
            let train = begun.nats / begun.cells * self.material.targets_per_unit();
            ensure!(
                valid.is_finite(),
                "epoch {}: expected a finite validation loss, got {valid}; lower training.learning_rate",
                epoch + 1
            );
            // Weights that have not yet learnt from their own past are no candidates, however low their loss.
            let own_past = self.recipe.training.own_past.as_ref();
            if own_past.is_some_and(|own_past| epoch == own_past.after_epochs) {
                self.progress.best_loss = None;
            }
            let keeps_last = own_past.is_some_and(|own_past| own_past.keep_last && epoch >= own_past.after_epochs);
            let better = keeps_last || self.progress.best_loss.is_none_or(|best| valid < best);
            if better {
                (self.progress.best_loss, self.progress.best_epoch) = (Some(valid), epoch + 1);
                weights.write(&self.out)?;
            }
            let best = self.progress.best_loss.unwrap_or(valid);
            // `begun.seconds` is the time before an interruption; the clock adds the time since.
            let seconds = begun.seconds + start.elapsed().as_secs_f64();
            self.progress.log.push(EpochRow { epoch: epoch + 1, train, valid, rate, seconds, best });
            training_log::write(&self.out, &self.progress.log, &self.recipe.name, self.material.unit())?;
            (self.progress.epochs_done, self.progress.begun) = (epoch + 1, None);
            self.save()?;
            let note = match better {
                true if keeps_last => "  kept",
                true => "  best so far",
                false => "",
            };
            println!(
                "epoch {:>3}/{epochs}  train {train:.4}  valid {valid:.4}  rate {rate:.1e}  {tokens_per_second:.0} \
                 tokens/s  {seconds:.1} s{note}",
                epoch + 1
            );
        }
        Ok(Ended::Finished)
    }

    fn save(&mut self) -> Result<()> {
        self.progress.optimiser = self.optimiser.progress();
        checkpoint::save(&self.checkpoint, &self.network, &mut self.optimiser, &self.averages, &self.progress)
    }

    /// Trains for an epoch, or for the rest of an interrupted one. Returns its progress and the learning rate of its
    /// last batch; no rate if Ctrl-C interrupted it.
    fn epoch(&mut self, epoch: usize, start: Instant) -> Result<(BegunEpoch, Option<f64>)> {
        let training = &self.recipe.training;
        // Each epoch has its own stream of random numbers, so a resumed run continues with the same numbers.
        let mut rng = SplitMix64::new(self.progress.rng_seed.wrapping_add((epoch as u64) << 32));
        let is_resumed = self.progress.begun.is_some();
        let path = own_past::path_beside(&self.out);
        let player = own_past::player(training.own_past.as_ref(), epoch, is_resumed, &path, || self.weights())?;
        let batches = self.material.epoch(training, player.as_ref(), &mut rng);
        let mut begun = self.progress.begun.take().unwrap_or_default();
        if begun.batches_done > 0 {
            rng = SplitMix64::new(begun.rng_state);
        }
        let (first_batch, cells_before, count) = (begun.batches_done, begun.cells, batches.len());
        let bar = EpochBar::new(epoch, training.epochs, first_batch, count, &self.progress.log)?;
        let per_unit = self.material.targets_per_unit();
        let losses: Vec<f64> = self.progress.log.iter().map(|row| row.valid).collect();
        let mut rate = training.learning_rate_at(epoch, 0.0, &losses);
        for n in first_batch..count {
            rate = training.learning_rate_at(epoch, n as f64 / count as f64, &losses);
            let batch = batches.batch(n, &self.device)?;
            let logits = self.network.forward(&batch.inputs, Some(Dropout { rng: &mut rng }))?;
            let loss = cross_entropy(&logits, &batch, training.label_smoothing)?;
            let place = |steps: u32| format!("epoch {}, batch {} of {count}, step {}", epoch + 1, n + 1, steps + 1);
            let steps = self.optimiser.progress().0;
            ensure!(
                loss.nats.is_finite(),
                "{}: expected a finite loss, got {}; lower training.learning_rate",
                place(steps),
                loss.nats
            );
            let moved = self.optimiser.step(&loss.tensor.backward()?, rate, training.clip_norm);
            moved.with_context(|| format!("{}: lower training.learning_rate", place(steps)))?;
            self.averages.update(&self.network, self.optimiser.progress().0)?;
            begun.nats += loss.nats * loss.cells;
            begun.cells += loss.cells;
            begun.batches_done = n + 1;
            bar.show(n + 1, begun.nats / begun.cells * per_unit, rate, begun.cells - cells_before);
            if interrupt::pressed() {
                bar.finish();
                begun.rng_state = rng.state();
                begun.seconds += start.elapsed().as_secs_f64();
                return Ok((begun, None));
            }
        }
        bar.finish();
        Ok((begun, Some(rate)))
    }

    /// The current weights, without figures.
    fn weights(&self) -> Result<Weights> {
        Ok(self.averages.network(&self.network)?.to_weights(self.description())?)
    }

    /// The current weights, with their figures, and their loss.
    fn validate(&self) -> Result<(Weights, f64)> {
        let mut weights = self.weights()?;
        let judgement = self.material.judge(&weights)?;
        weights.description.figures = judgement.figures_of(&self.recipe.split.1);
        Ok((weights, judgement.loss))
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
            sampling: self.recipe.sampling,
            corpora: self.recipe.corpora.clone(),
            commit: commit(),
            figures: BTreeMap::new(),
        }
    }
}

/// The commit of the working directory; empty if git finds none.
fn commit() -> String {
    let output = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_string(),
        _ => String::new(),
    }
}
