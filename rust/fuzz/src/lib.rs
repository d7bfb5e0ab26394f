//! Fuzz targets are the files of `fuzz_targets/`, one each, found by their being there.
//!
//! A target takes bytes and calls one public entry of the core; it checks more than "no panic" where there is more to
//! check (a limit held, the same answer for the same bytes cut differently). Code that several targets share goes here.
