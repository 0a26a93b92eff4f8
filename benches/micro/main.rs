//! The pieces of a call by the clock: `cargo bench --bench micro`.

#[path = "../operations/mod.rs"]
mod operations;

fn main() {
    divan::main();
}

#[divan::bench(args = operations::ALL)]
fn operation(bencher: divan::Bencher<'_, '_>, name: &str) {
    bencher.with_inputs(|| ()).bench_local_values({
        let mut run = operations::of(name);
        move |()| run()
    });
}
