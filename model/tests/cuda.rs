//! The whole path to a GPU, tested without one: a stand-in for NVIDIA's driver runs the kernels' source on the CPU.
//!
//! A process opens its driver once, so each case runs in a child process, which opens the stand-in in place of the
//! driver.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

#[path = "cuda/stand_in.rs"]
mod stand_in;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use continuo_model::config::{EnsembleConfig, NetworkConfig, SplitConfig};
use continuo_model::decision::{ANY_LANE, Decision, Given};
use continuo_model::generate::{Hearing, Step, StepSettings, network};
use continuo_model::math;
use continuo_model::random::SplitMix64;
use continuo_model::sampling::Sampler;
use continuo_model::stream::cuda::{Code, Gpu, NoGpu};
use continuo_model::stream::{GridNetwork, SplitLayers};
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::tokeniser::step_reader::{Controls, StepFeature};
use continuo_model::vocabulary::Vocabulary;
use continuo_model::weights_file::{Description, FORMAT, Weights};

/// In a child process: the name of its case.
const CASE_VARIABLE: &str = "CONTINUO_CUDA_CASE";

/// Counts what this thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: it passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The stand-in's library.
fn stand_in() -> &'static Path {
    static STAND_IN: OnceLock<PathBuf> = OnceLock::new();
    let compile = || stand_in::compile(Path::new(env!("CARGO_MANIFEST_DIR")), Path::new(env!("CARGO_TARGET_TMPDIR")));
    STAND_IN.get_or_init(compile)
}

/// Runs a case in a child process with the driver in `folder`. Returns how often each function and kernel ran.
fn run_case(case: &str, folder: &Path, environment: &[(&str, &str)]) -> BTreeMap<String, usize> {
    let log = folder.join(format!("{case}-{}.log", environment.iter().map(|(_, value)| *value).collect::<String>()));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .envs(environment.iter().copied())
        .env(CASE_VARIABLE, case)
        .env("LD_LIBRARY_PATH", folder)
        .env("STAND_IN_LOG", &log)
        .output()
        .unwrap();
    let [stdout, stderr] = [&child.stdout, &child.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(child.status.success(), "{case} {environment:?}: {stdout}\n{stderr}");
    let log = std::fs::read_to_string(&log).unwrap_or_default();
    let count = |line: &str| line.rsplit_once(' ').map(|(name, count)| (name.to_string(), count.parse().unwrap()));
    log.lines().filter_map(count).collect()
}

/// Everything that was opened was closed.
fn check_pairs(counts: &BTreeMap<String, usize>, what: &str) {
    let of = |name: &str| counts.get(name).copied().unwrap_or(0);
    for (open, close) in [
        ("cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease_v2"),
        ("cuModuleLoadData", "cuModuleUnload"),
        ("cuMemAlloc_v2", "cuMemFree_v2"),
        ("cuMemHostAlloc", "cuMemFreeHost"),
        ("cuStreamCreate", "cuStreamDestroy_v2"),
        ("cuStreamBeginCapture_v2", "cuStreamEndCapture"),
        ("cuStreamEndCapture", "cuGraphDestroy"),
        ("cuGraphInstantiateWithFlags", "cuGraphExecDestroy"),
    ] {
        let opened = of(open) - of(&format!("failed {open}"));
        assert_eq!(opened, of(close), "{what}: {open} and {close}: {counts:?}");
    }
}

/// Runs the case of a child process.
#[test]
fn child() {
    let Ok(case) = std::env::var(CASE_VARIABLE) else { return };
    let expected = std::env::var("EXPECT").unwrap_or_default();
    match case.as_str() {
        "parity" => made_up().iter().for_each(|config| check_parity(config, None)),
        "lost-ensemble" => check_parity(&made_up()[4], Some(&expected)),
        "open" => drop(packed(&made_up()[4]).open_gpu().unwrap()),
        "shipped" => shipped().iter().for_each(|path| check_shipped(path)),
        "refused" => {
            let network = packed(&made_up()[4]);
            assert_eq!(network.open_gpu().err().map(|error| error.to_string()), Some(expected));
            // A second try gives the same, and the CPU goes on.
            assert!(network.open_gpu().is_err());
            let mut scratch = network.scratch();
            network.begin_step(&mut network.state(), Controls::default(), &mut scratch);
        }
        "lost" => check_parity(&made_up()[1], Some(&expected)),
        "threads" => threads(),
        "activations" => activations(),
        other => panic!("no case {other}"),
    }
}

/// Networks whose layers meet every branch of the kernels: widths that are no multiple of the unrolled loop, layers
/// with and without a residual, one and several members.
fn made_up() -> Vec<NetworkConfig> {
    let split = |embedding: usize, lstm: &[usize]| SplitConfig {
        vocab_size: 48,
        features: vec![StepFeature::Sounding, StepFeature::Held, StepFeature::Beat, StepFeature::Key],
        embedding,
        lstm: lstm.to_vec(),
        head: 36,
        head_layers: 1,
        dropout: 0.0,
        row_dropout: 0.0,
        weight_dropout: 0.0,
    };
    vec![
        NetworkConfig::Split(split(24, &[48, 48, 32])),
        NetworkConfig::Split(split(64, &[64, 64])),
        NetworkConfig::Split(split(37, &[16])),
        NetworkConfig::Split(split(300, &[112, 80])),
        NetworkConfig::Ensemble(EnsembleConfig { members: 3, member: split(24, &[32, 32]), adaptation: None }),
    ]
}

fn packed(config: &NetworkConfig) -> GridNetwork<SplitLayers> {
    let description = Description {
        format: FORMAT,
        name: "Test".into(),
        config: config.clone(),
        vocabulary: Vocabulary::GRID.hash().to_string(),
        lexicon: None,
        recipe: String::new(),
        sampling: None,
        corpora: Vec::new(),
        commit: String::new(),
        figures: Default::default(),
    };
    let weights = Weights::untrained(description, 3).unwrap();
    match config {
        NetworkConfig::Split(config) => config.pack(&weights).unwrap(),
        NetworkConfig::Ensemble(config) => config.pack(&weights).unwrap(),
        _ => panic!("a split network or several"),
    }
}

/// Runs a network on the stand-in and on the CPU, in phrases of several lengths, and compares all bits. With `lost`,
/// the GPU must be lost on the way for this reason, else every step must be the GPU's.
fn check_parity(config: &NetworkConfig, lost: Option<&str>) {
    let network = packed(config);
    let (mut on_cpu, mut on_gpu) = (network.state(), network.state());
    let (mut cpu, mut gpu) = (network.scratch(), network.scratch());
    gpu.accelerator().attach(Some(network.open_gpu().unwrap()));
    assert_eq!(gpu.accelerator().name(), Some("Stand-in"));
    let mut rng = SplitMix64::new(5);
    for steps in [1, 2, 1, 1, 7, 16, 3, 1, 17, 1, 1] {
        // All but the last step are only read.
        for _ in 0..steps {
            network.begin_step(&mut on_cpu, Controls::default(), &mut cpu);
            network.begin_step(&mut on_gpu, Controls::default(), &mut gpu);
            for voice in 0..NUM_VOICES {
                let token = rng.next_below(48) as u16;
                on_cpu.feed(voice, token);
                on_gpu.feed(voice, token);
            }
        }
        let bits = |logits: &mut [f32]| logits.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let [a, b] = [(&mut on_cpu, &mut cpu), (&mut on_gpu, &mut gpu)]
            .map(|(state, scratch)| bits(network.logits(state, 0, scratch)));
        assert_eq!(a, b, "{config:?}, after {steps} steps");
    }
    let is_there = gpu.accelerator().name().is_some();
    assert_eq!(gpu.accelerator().take_loss().map(|loss| loss.to_string()).as_deref(), lost);
    assert_eq!(is_there, lost.is_none());
    assert_eq!(gpu.accelerator().take_loss(), None);
}

fn shipped() -> Vec<PathBuf> {
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../weights");
    let names = ["bach", "folk", "fugue-minor", "well-tempered", "chorale-jsb16"];
    names.iter().map(|name| weights.join(format!("{name}.safetensors"))).collect()
}

/// A style of each kind that can run on a GPU decides the same on the stand-in as on the CPU, and allocates on neither.
fn check_shipped(path: &Path) {
    let weights = Weights::read(path).unwrap();
    let network = network(&weights).unwrap();
    let hears_notes = network.capabilities().hears == Hearing::Notes;
    let mut performers = [network.clone().performer(), network.clone().performer()];
    performers[1].accelerator().attach(Some(network.open_gpu().unwrap()));
    for step_idx in 0..12 {
        let mut given = Given::NOTHING;
        if step_idx < 4 {
            given = if hears_notes { Given::all(Decision::SILENCE) } else { given };
            given.strike(if hears_notes { ANY_LANE } else { 0 }, 67 + step_idx as u8, 90);
        }
        let settings = StepSettings { sampler: Sampler::CAREFUL, rng_seed: 1, ..StepSettings::default() };
        let step = Step { step_idx, step_in_beat: step_idx as usize % 4, given, attack: step_idx == 4, settings };
        let before = ALLOCATIONS.get();
        let [a, b] = performers.each_mut().map(|performer| performer.decide(&step));
        assert_eq!(ALLOCATIONS.get(), before, "{}, step {step_idx}: a step allocates", path.display());
        assert_eq!(a, b, "{}, step {step_idx}", path.display());
    }
    assert_eq!(performers[1].accelerator().name(), Some("Stand-in"));
}

/// A GPU is opened on one thread, used on another and closed on a third, while a second performance uses the same
/// weights.
fn threads() {
    let network = std::sync::Arc::new(packed(&made_up()[0]));
    let open = |network: &std::sync::Arc<GridNetwork<SplitLayers>>| {
        let network = network.clone();
        std::thread::spawn(move || network.open_gpu().unwrap()).join().unwrap()
    };
    let (first, second) = (open(&network), open(&network));
    let play = |gpu: Gpu| {
        let network = network.clone();
        std::thread::spawn(move || {
            let (mut state, mut scratch) = (network.state(), network.scratch());
            scratch.accelerator().attach(Some(gpu));
            network.begin_step(&mut state, Controls::default(), &mut scratch);
            network.logits(&mut state, 0, &mut scratch);
            assert_eq!(scratch.accelerator().take_loss(), None);
            scratch
        })
    };
    let scratches = [play(first), play(second)].map(|thread| thread.join().unwrap());
    std::thread::spawn(move || drop(scratches)).join().unwrap();
}

/// The kernels' exp, sigmoid and tanh are the CPU's, over their whole range.
fn activations() {
    // SAFETY: the stand-in runs no code when it is opened beyond its constructors.
    let library = unsafe { libloading::Library::new("libcuda.so.1") }.unwrap();
    type Activations = unsafe extern "C" fn(*const f32, u32, *mut f32);
    // SAFETY: the signature is that of the stand-in's source.
    let run = unsafe { library.get::<Activations>(b"stand_in_activations\0") }.unwrap();
    // Densely where the network's numbers lie: a term that is rounded otherwise changes few values.
    let dense = (-3_000_000..3_000_000).map(|n| n as f32 * 7e-6);
    let x: Vec<f32> = dense.chain((-120_000..120_000).map(|n| n as f32 * 1e-3)).collect();
    let mut out = vec![0.0; 3 * x.len()];
    // SAFETY: `out` has room for three numbers for each of `x`.
    unsafe { run(x.as_ptr(), x.len() as u32, out.as_mut_ptr()) };
    for (x, out) in x.iter().zip(out.chunks_exact(3)) {
        let expect = [math::exp(*x), math::sigmoid(*x), math::tanh(*x)].map(f32::to_bits);
        assert_eq!([out[0], out[1], out[2]].map(f32::to_bits), expect, "{x}");
    }
}

#[test]
fn the_gpu_computes_every_step_with_the_bits_of_the_cpu() {
    let folder = stand_in().parent().unwrap();
    for order in ["0", "1", "2"] {
        let counts = run_case("parity", folder, &[("STAND_IN_ORDER", order)]);
        check_pairs(&counts, "parity");
        // 51 steps of each network, with three, two, one and two layers, and of three members with two.
        assert_eq!(counts["kernel look_up"], (4 + 3) * 51);
        assert_eq!(counts["kernel lstm"], (3 + 2 + 1 + 2 + 3 * 2) * 51);
    }
    check_pairs(&run_case("shipped", folder, &[]), "shipped");
    run_case("activations", folder, &[]);
}

#[test]
fn threads_share_the_gpu() {
    let counts = run_case("threads", stand_in().parent().unwrap(), &[]);
    check_pairs(&counts, "threads");
    // The second performance found the weights uploaded.
    assert_eq!((counts["cuModuleLoadData"], counts["cuStreamCreate"]), (1, 2));
}

#[test]
fn a_driver_that_is_missing_or_old_is_an_error() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-driver");
    std::fs::create_dir_all(&folder).unwrap();
    // A file of the driver's name that is no library: a driver elsewhere on the machine does not count.
    std::fs::write(folder.join("libcuda.so.1"), [b'x'; 4096]).unwrap();
    run_case("refused", &folder, &[("EXPECT", "no NVIDIA driver: libcuda.so.1 is missing")]);
    let folder = stand_in().parent().unwrap();
    for (variable, value, expect) in [
        ("STAND_IN_VERSION", "11040", "NVIDIA's driver is for CUDA 11.4; install one for 11.8 or newer"),
        ("STAND_IN_DEVICES", "0", "no NVIDIA GPU"),
        ("STAND_IN_CAPABILITY", "52", "the GPU has compute capability 5.2; 6.0 or newer is needed"),
    ] {
        let counts = run_case("refused", folder, &[(variable, value), ("EXPECT", expect)]);
        check_pairs(&counts, expect);
    }
}

/// The functions that opening calls, in order.
const TO_OPEN: &[&str] = &[
    "cuInit",
    "cuDriverGetVersion",
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetAttribute",
    "cuDeviceGetName",
    "cuDevicePrimaryCtxRetain",
    "cuCtxSetCurrent",
    "cuModuleLoadData",
    "cuModuleGetFunction",
    "cuMemAlloc_v2",
    "cuMemcpyHtoD_v2",
    "cuStreamSynchronize",
    "cuStreamCreate",
    "cuMemHostAlloc",
    "cuStreamBeginCapture_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuLaunchKernel",
    "cuMemcpyDtoHAsync_v2",
    "cuStreamEndCapture",
    "cuGraphInstantiateWithFlags",
];
/// The functions that only running and closing call.
const TO_RUN: &[&str] = &[
    "cuGraphLaunch",
    "cuGraphExecDestroy",
    "cuGraphDestroy",
    "cuMemFree_v2",
    "cuMemFreeHost",
    "cuStreamDestroy_v2",
    "cuModuleUnload",
    "cuDevicePrimaryCtxRelease_v2",
];

#[test]
fn each_function_that_the_driver_lacks_is_an_error() {
    let library = std::fs::read(stand_in()).unwrap();
    for function in TO_OPEN.iter().chain(TO_RUN) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("without-{function}"));
        std::fs::create_dir_all(&folder).unwrap();
        // Another name for the symbol.
        let name = [b"\0", function.as_bytes(), b"\0"].concat();
        let mut without = library.clone();
        let mut found = 0;
        for at in 0..library.len() - name.len() {
            if library[at..at + name.len()] == name {
                without[at + 1] = b'x';
                found += 1;
            }
        }
        assert!(found > 0, "the stand-in has {function}");
        std::fs::write(folder.join("libcuda.so.1"), without).unwrap();
        let expect = format!("NVIDIA's driver has no {function}; install a newer driver");
        run_case("refused", &folder, &[("EXPECT", &expect)]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn each_call_that_fails_while_opening_is_an_error() {
    let folder = stand_in().parent().unwrap();
    let opened = run_case("open", folder, &[]);
    for function in TO_OPEN {
        let calls = match *function {
            // Closing calls these too, and without a context nothing can be closed.
            "cuCtxSetCurrent" => 1,
            "cuStreamSynchronize" => 3,
            function => opened[function],
        };
        // A known code, and one that no list knows.
        for code in [700, 12_345] {
            let expect = NoGpu::Failed(function, Code(code)).to_string();
            for call in 1..=calls {
                let fail = format!("{function}@{call}={code}");
                let counts = run_case("refused", folder, &[("STAND_IN_FAIL", &fail), ("EXPECT", &expect)]);
                if *function != "cuCtxSetCurrent" {
                    check_pairs(&counts, &fail);
                }
            }
        }
    }
}

#[test]
fn the_cpu_decides_the_step_in_which_the_gpu_is_lost() {
    let folder = stand_in().parent().unwrap();
    for (function, call) in [
        ("cuGraphLaunch", 1),
        ("cuGraphLaunch", 4),
        ("cuStreamSynchronize", 2),
        ("cuStreamSynchronize", 6),
        // Phrases, after the calls that capture a step.
        ("cuMemcpyHtoDAsync_v2", 2),
        ("cuLaunchKernel", 9),
        ("cuLaunchKernel", 30),
        ("cuMemcpyDtoHAsync_v2", 3),
        ("cuCtxSetCurrent", 12),
    ] {
        let fail = format!("{function}@{call}=719");
        let expect = NoGpu::Failed(function, Code(719)).to_string();
        let counts = run_case("lost", folder, &[("STAND_IN_FAIL", &fail), ("EXPECT", &expect)]);
        if function != "cuCtxSetCurrent" {
            check_pairs(&counts, &fail);
        }
    }
    // The second of three trunks, which run at once.
    for (function, call) in [("cuGraphLaunch", 2), ("cuGraphLaunch", 5), ("cuStreamSynchronize", 5)] {
        let fail = format!("{function}@{call}=719");
        let expect = NoGpu::Failed(function, Code(719)).to_string();
        check_pairs(&run_case("lost-ensemble", folder, &[("STAND_IN_FAIL", &fail), ("EXPECT", &expect)]), &fail);
    }
}
