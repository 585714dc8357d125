//! The cost of one run of each network, on one thread. Run by `make bench-micro`.

use bodyscript_worker::inference::{Model, ModelName};
use std::fs::File;
use std::path::Path;

fn main() {
    divan::main();
}

#[divan::bench(args = [(ModelName::Detector, 224), (ModelName::Landmarks, 256)])]
fn run(bencher: divan::Bencher<'_, '_>, (name, side): (ModelName, usize)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let file = File::open(folder.join(name.file_name())).expect("the model is in the tree");
    let model = Model::load(name, file).expect("the model is that of the manifest");
    let planes = vec![0.5; 3 * side * side];
    bencher.bench_local(|| model.run(divan::black_box(&planes), |outputs| outputs.count()));
}
