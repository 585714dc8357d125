//! The cost of one run of each network, on one thread. Run by `make bench-micro`.

use bodyscript_worker::inference::{Model, ModelName};
use std::fs::File;
use std::path::Path;

fn main() {
    divan::main();
}

#[divan::bench(args = ModelName::ALL)]
fn run(bencher: divan::Bencher<'_, '_>, name: ModelName) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    // The heavy model is not part of the source tree.
    let Ok(file) = File::open(folder.join(name.file_name())) else { return };
    let model = Model::load(name, file).expect("the model is that of the manifest");
    let planes = vec![0.5; 3 * model.side() * model.side()];
    bencher.bench_local(|| model.run(divan::black_box(&planes), |outputs| outputs.count()));
}
