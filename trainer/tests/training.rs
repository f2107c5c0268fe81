//! Tests of training from the command line: interruption and resuming, the log, fine-tuning, divergence.

#![forbid(unsafe_code)]

mod tiny;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tiny::{SPLIT, STACK, TRAIN, TRAIN_LINE, fail, folder, succeed, write_corpus, write_recipe, write_tunes};

fn start(folder: &Path, words: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_trainer"))
        .args(words.split_whitespace())
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Writes a recipe with epochs long enough to interrupt: many batches, with `more` options.
fn write_long_recipe(folder: &Path, network: &str, more: &str) {
    write_recipe(folder, network, 4);
    let path = folder.join("tiny.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("window_hop_steps = 8", "window_hop_steps = 1").replace("batch = 4", "batch = 1");
    let text = slower(&text) + more;
    std::fs::write(path, text).unwrap();
}

/// So slow that every epoch is better than the one before, and the weights of the last epoch are saved.
fn slower(recipe: &str) -> String {
    assert!(recipe.contains("learning_rate = 0.02"));
    recipe.replace("learning_rate = 0.02", "learning_rate = 0.0003")
}

/// The log of a run without the seconds, line by line. The last epoch must be the best; otherwise its weights are not
/// saved.
fn table(folder: &Path, name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let mut table: Vec<Vec<String>> = text.lines().map(|line| line.split(',').map(String::from).collect()).collect();
    assert_eq!(table[0], ["epoch", "train", "valid", "rate", "seconds", "best"]);
    let last = &table[table.len() - 1];
    assert_eq!(last[2], last[5], "the last epoch is not the best: {text}");
    table.iter_mut().for_each(|row| drop(row.remove(4)));
    table
}

/// Waits for the report of the first epoch, presses Ctrl-C and returns the exit code and the rest of the output.
#[cfg(unix)]
fn press_ctrl_c(mut child: Child) -> (Option<i32>, String) {
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("epoch ") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended before it was interrupted");
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    (child.wait().unwrap().code(), rest)
}

#[cfg(unix)]
#[test]
fn ctrl_c_in_mid_epoch_saves_and_resuming_comes_to_the_same_weights() {
    let schedules = [
        ("constant", STACK, "schedule = \"constant\"\n"),
        ("one_cycle", STACK, "schedule = { one_cycle = { warm_up = 0.3 } }\nlabel_smoothing = 0.1\n"),
        // The plateau comes at once, so the reduced rate must survive the interruption.
        ("plateau", SPLIT, "schedule = { plateau = { factor = 0.5, patience = 1 } }\n"),
        ("cosine", SPLIT, "schedule = \"cosine\"\n"),
        // The weights that play the own past are those of the interrupted round.
        ("own_past", SPLIT, "[training.own_past]\nshare = 0.7\ngiven = [\"S\", \"\"]\nround_epochs = 3\n"),
    ];
    for (name, network, more) in schedules {
        let folder = folder(&format!("ctrl_c_{name}"));
        write_corpus(&folder);
        write_long_recipe(&folder, network, more);
        succeed(&folder, &format!("{TRAIN} whole.safetensors"));
        let (code, said) = press_ctrl_c(start(&folder, &format!("{TRAIN} broken.safetensors")));
        assert_eq!(code, Some(130), "{name}: {said}");
        let (_, command) = said.split_once("continue with\n").unwrap_or_else(|| panic!("{name}: {said}"));
        assert!(command.trim_end().ends_with("--out broken.safetensors --resume"), "{name}: {command}");
        let checkpoint = std::fs::read(folder.join("broken.checkpoint")).unwrap();
        let header = String::from_utf8_lossy(&checkpoint[..16_384.min(checkpoint.len())]).into_owned();
        assert!(header.contains("batches_done"), "{name}: it was not interrupted within an epoch");

        let (_, words) = command.trim_end().split_once(' ').unwrap();
        succeed(&folder, words);
        let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
        assert!(bytes("whole.safetensors") == bytes("broken.safetensors"), "{name}: the weights differ");
        assert!(!folder.join("broken.checkpoint").exists());
        assert!(!folder.join("broken.own-past.safetensors").exists());
        let whole = table(&folder, "whole.log.csv");
        assert_eq!(whole.len(), 5);
        assert_eq!(whole, table(&folder, "broken.log.csv"), "{name}");
        assert!(bytes("broken.curve.png").starts_with(b"\x89PNG"));
    }
}

#[cfg(unix)]
#[test]
fn a_line_model_is_broken_off_gone_on_with_and_fine_tuned_in_its_words() {
    let folder = folder("ctrl_c_line");
    write_tunes(&folder, 6);
    let path = folder.join("line.toml");
    std::fs::write(&path, slower(&std::fs::read_to_string(&path).unwrap())).unwrap();
    let text = succeed(&folder, &format!("{TRAIN_LINE} whole.safetensors"));
    assert!(text.contains("nats per event on `valid`"), "{text}");
    let (code, said) = press_ctrl_c(start(&folder, &format!("{TRAIN_LINE} broken.safetensors")));
    assert_eq!(code, Some(130), "{said}");
    succeed(&folder, &format!("{TRAIN_LINE} broken.safetensors --resume"));
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(bytes("whole.safetensors") == bytes("broken.safetensors"), "the weights differ");
    assert_eq!(table(&folder, "whole.log.csv"), table(&folder, "broken.log.csv"));

    // Other music has other words, but fine-tuning keeps those of the initial weights.
    std::fs::remove_file(folder.join("tunes/tune-3.abc")).unwrap();
    std::fs::write(folder.join("tunes/low.abc"), "X:1\nT:low\nM:4/4\nL:1/4\nK:C\nC,D,E,F,|G,A,B,C|C,,4|\n").unwrap();
    let words =
        |name: &str| continuo_model::weights_file::Weights::read(&folder.join(name)).unwrap().description.lexicon;
    succeed(&folder, &format!("{TRAIN_LINE} fresh.safetensors"));
    succeed(&folder, &format!("{TRAIN_LINE} tuned.safetensors --from whole.safetensors"));
    assert!(words("whole.safetensors").is_some() && words("tuned.safetensors") == words("whole.safetensors"));
    let refused = fail(&folder, &format!("{TRAIN_LINE} x.safetensors --from corpus.json"));
    assert!(refused.contains("corpus.json: cannot be opened"), "{refused}");
    write_corpus(&folder);
    write_recipe(&folder, STACK, 1);
    succeed(&folder, &format!("{TRAIN} stack.safetensors"));
    let refused = fail(&folder, &format!("{TRAIN_LINE} x.safetensors --from stack.safetensors"));
    assert!(refused.contains("expected a line model, as the recipe's is, got one of four voices"), "{refused}");
}

#[cfg(unix)]
#[test]
fn a_second_ctrl_c_ends_at_once() {
    let folder = folder("ctrl_c_twice");
    write_corpus(&folder);
    // One batch takes far longer than two signals.
    write_recipe(&folder, &STACK.replace("lstm = [24]", "lstm = [800]"), 1);
    let path = folder.join("tiny.toml");
    let text = std::fs::read_to_string(&path).unwrap().replace("batch = 4", "batch = 64");
    std::fs::write(path, text).unwrap();
    let mut child = start(&folder, &format!("{TRAIN} x.safetensors"));
    let id = child.id().to_string();
    let press = || assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let await_words = |from: &mut dyn BufRead, words: &str| {
        let mut line = String::new();
        while !line.contains(words) {
            assert!(from.read_line(&mut line).unwrap() > 0, "it ended after `{line}`");
        }
    };
    await_words(&mut BufReader::new(child.stdout.take().unwrap()), "pieces to train on");
    press();
    await_words(&mut BufReader::new(child.stderr.take().unwrap()), "press Ctrl-C again to stop at once");
    press();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!folder.join("x.checkpoint").exists(), "it took the time to save");
}

#[test]
fn training_starts_from_weights_of_the_same_shape() {
    let folder = folder("from");
    write_corpus(&folder);
    write_recipe(&folder, STACK, 20);
    succeed(&folder, &format!("{TRAIN} first.safetensors"));
    let first_loss = |name: &str| -> f64 {
        let table = std::fs::read_to_string(folder.join(name)).unwrap();
        table.lines().nth(1).unwrap().split(',').nth(2).unwrap().parse().unwrap()
    };
    write_recipe(&folder, STACK, 1);
    succeed(
        &folder,
        "train tiny.toml --data corpus.json --from first.safetensors --threads 1 --out second.safetensors",
    );
    let (fresh, tuned) = (first_loss("first.log.csv"), first_loss("second.log.csv"));
    assert!(tuned < fresh / 2.0, "{tuned} after one epoch from weights, {fresh} from none");

    let refuse = |network: &str, problem: &str| {
        write_recipe(&folder, network, 1);
        let error =
            fail(&folder, "train tiny.toml --data corpus.json --from first.safetensors --out third.safetensors");
        assert!(error.contains(problem), "{error}");
    };
    refuse(
        &STACK.replace("lstm = [24]", "lstm = [28]"),
        "with `lstm.0.w_ih` [12, 112], got [12, 96]; use the `[network]` section",
    );
    refuse(SPLIT, "--from first.safetensors: expected a network with the recipe's features, sounding");
    let error = fail(&folder, "train tiny.toml --data corpus.json --from none --out third.safetensors");
    assert!(error.contains("none: cannot be opened"), "{error}");
}

#[test]
fn fine_tuning_may_add_features_and_an_own_past() {
    let folder = folder("more_features");
    write_corpus(&folder);
    write_recipe(&folder, SPLIT, 20);
    succeed(&folder, &format!("{TRAIN} first.safetensors"));
    let loss = |name: &str| -> f64 {
        let words = succeed(&folder, &format!("evaluate {name} --data corpus.json"));
        words.split(' ').next().unwrap().parse().unwrap()
    };
    // With a rate this low, one epoch changes nothing: the new features have no effect yet.
    let wider = SPLIT.replace("features = [", "features = [\"bar\", \"phrase\", ");
    assert_ne!(wider, SPLIT);
    write_recipe(&folder, &wider, 1);
    let path = folder.join("tiny.toml");
    let recipe = std::fs::read_to_string(&path).unwrap().replace("learning_rate = 0.02", "learning_rate = 1e-9");
    std::fs::write(&path, &recipe).unwrap();
    let train = "train tiny.toml --data corpus.json --from first.safetensors --threads 1 --out second.safetensors";
    succeed(&folder, train);
    assert!((loss("second.safetensors") - loss("first.safetensors")).abs() < 2e-3);

    let refuse = |own_past: &str, problem: &str| {
        std::fs::write(&path, format!("{recipe}[training.own_past]\n{own_past}")).unwrap();
        let error = fail(&folder, train);
        assert!(error.contains(problem), "{error}");
    };
    refuse("share = 2.0\ngiven = [\"S\"]\nround_epochs = 1", "own_past.share: expected a number from 0 to 1, got 2");
    refuse("share = 0.5\ngiven = []\nround_epochs = 1", "own_past.given: expected at least one entry");
    refuse("share = 0.5\ngiven = [\"X\"]\nround_epochs = 1", "expected letters of SATB, got `X`");
    refuse("share = 0.5\ngiven = [\"S\"]\nround_epochs = 0", "own_past.round_epochs: expected at least 1, got 0");
}

#[test]
fn what_a_network_plays_is_measured_beside_the_corpus() {
    let folder = folder("play");
    write_corpus(&folder);
    write_recipe(&folder, SPLIT, 5);
    succeed(&folder, &format!("{TRAIN} tiny.safetensors"));
    let evaluate = |words: &str| succeed(&folder, &format!("evaluate tiny.safetensors --data corpus.json {words}"));
    let json = |words: &str| -> serde_json::Value { serde_json::from_str(&evaluate(words)).unwrap() };
    let played = json("--play --given S --json");
    // The corpus has consonant triads alone.
    assert_eq!((&played["given"][0], &played["bach"]["consonant_triads_percent"]), (&"soprano".into(), &100.0.into()));
    assert!(played["agreement"]["root_percent"].as_f64().unwrap() > 20.0, "{played}");
    assert!(evaluate("--play --given B").contains("agreement with Bach"));
    let free = json("--free --pieces 12 --bars 4 --json");
    assert_eq!((&free["network_pieces"], &free["bach_pieces"]), (&12.into(), &1.into()));
    assert!(free["network_form"]["minor_percent"].is_number() && free["phrase_ends_f1"].is_null(), "{free}");
    assert!(evaluate("--free --pieces 12 --bars 4").contains("dominant sevenths per 100 beats"));
}

#[test]
fn a_loss_that_is_no_number_stops_training_with_its_place() {
    let folder = folder("nan");
    write_corpus(&folder);
    write_recipe(&folder, STACK, 3);
    let path = folder.join("tiny.toml");
    let text = std::fs::read_to_string(&path).unwrap().replace("learning_rate = 0.02", "learning_rate = 1e30");
    std::fs::write(path, text).unwrap();
    let error = fail(&folder, &format!("{TRAIN} x.safetensors"));
    assert!(error.contains("epoch 1, batch 2 of ") && error.contains(", step 2: "), "{error}");
    assert!(error.contains("expected a finite ") && error.contains("lower training.learning_rate"), "{error}");
}

#[test]
fn a_reader_that_leaves_is_no_reason_to_panic_or_to_stop() {
    let folder = folder("pipe");
    write_corpus(&folder);
    write_recipe(&folder, STACK, 2);
    let deaf = |words: &str| {
        let mut child = start(&folder, words);
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !error.contains("panicked"), "trainer {words}: {error}");
    };
    deaf(&format!("{TRAIN} x.safetensors"));
    deaf("inspect corpus.json");
    deaf("evaluate x.safetensors --data corpus.json --json");
    deaf("generate x.safetensors --pieces 2 --bars 2 --out music");
}
