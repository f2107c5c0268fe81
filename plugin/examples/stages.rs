//! Prints the time of each stage of the audio thread. Run it with `cargo xtask bench --stages`.

#![forbid(unsafe_code)]

fn main() {
    continuo::bench::print_stages();
}
