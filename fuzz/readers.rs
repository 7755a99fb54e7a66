#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| { let _ = flashsale::wire::table::is_unnamed(&String::from_utf8_lossy(bytes)); });
