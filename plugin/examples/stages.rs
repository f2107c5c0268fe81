//! What each stage of the audio thread costs: run it by `cargo xtask bench --stages`.

#![forbid(unsafe_code)]

fn main() {
    continuo::bench::print_stages();
}
