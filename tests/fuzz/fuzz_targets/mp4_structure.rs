#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodyscript_fuzz::targets::TARGETS
    .iter()
    .find(|(name, _)| *name == "mp4_structure")
    .expect("a target")
    .1(bytes));
