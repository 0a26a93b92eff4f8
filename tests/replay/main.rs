//! The corpus of the fuzzers, replayed by any compiler: each input as it is, cut at every place, and changed a little.
#![cfg(feature = "cli")]

#[path = "../../fuzz/targets/mod.rs"]
mod targets;

use std::path::Path;

/// How many places of an input are cut or changed; beyond them it is for a fuzzer.
const PLACES: usize = 64;

fn replay(target: &str) {
    let (_, run) = targets::ALL.into_iter().find(|(name, _)| *name == target).expect("a target");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 4, "{} files", files.len());
    for file in files {
        let input = std::fs::read(&file).unwrap();
        let checked = std::panic::catch_unwind(|| {
            run(&input);
            let step = (input.len() / PLACES).max(1);
            for at in (0..input.len()).step_by(step) {
                run(&input[..at]);
                for byte in [0, b'"', b'\\', b'{', b'\r', b'\n', 0xff, input[at] ^ 1] {
                    let mut changed = input.clone();
                    changed[at] = byte;
                    run(&changed);
                }
                let (before, behind) = input.split_at(at);
                run(&[before, &behind[1..]].concat());
                run(&[before, &behind[..1], behind].concat());
                run(&[before, &input, behind].concat());
            }
        });
        assert!(checked.is_ok(), "{}", file.display());
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*

        #[test]
        fn each_target_is_replayed_and_has_its_fuzzer() {
            let named = [$(stringify!($name)),*];
            assert_eq!(named.to_vec(), targets::ALL.map(|(name, _)| name).to_vec());
            let manifest = include_str!("../../fuzz/Cargo.toml");
            assert!(named.iter().all(|name| manifest.contains(&format!("name = \"{name}\""))));
        }
    };
}

targets! { config envelope headers http1 params request_state session sse stdio walk }
