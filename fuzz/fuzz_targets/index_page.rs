#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| venvtree_fuzz::bodies::index_page(data));
