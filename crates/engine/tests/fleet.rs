//! Several models: loaded when asked for, unloaded when others need the room.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{ask, folder, options, request};
use engine::fleet::{Fleet, FleetOptions, ModelState, models_in};
use engine::{Engine, Error, Options};
use fixtures::Fixture;
use gguf::Location;

fn write(dir: &Path, name: &str, fixture: &str) {
    fs::write(dir.join(name), Fixture::named(fixture).file()).expect("a writable folder");
}

/// Three models and a broken one.
fn models(dir: &Path) -> BTreeMap<String, Location> {
    for name in ["llama-gqa", "jamba", "mamba"] {
        write(dir, &format!("{name}.gguf"), name);
    }
    fs::write(dir.join("broken.gguf"), "GGUF").expect("a writable folder");
    models_in(dir, &|_| None).expect("a folder")
}

fn fleet(test: &str, options: FleetOptions) -> Fleet {
    Fleet::new(models(&folder(test)), options).expect("a fleet")
}

fn settings() -> FleetOptions {
    let engine = Options { n_positions: None, ..options() };
    FleetOptions { engine, ..<_>::default() }
}

fn loaded(fleet: &Fleet) -> Vec<String> {
    let loaded = fleet.list().into_iter().filter(|model| model.state == ModelState::Loaded);
    loaded.map(|model| model.name).collect()
}

#[test]
fn folders_name_their_models() {
    let dir = folder("fleet-names");
    let sub = dir.join("split");
    fs::create_dir_all(&sub).expect("a writable folder");
    fs::create_dir_all(dir.join("empty")).expect("a writable folder");
    for name in [
        "a.gguf",
        "b-00001-of-00002.gguf",
        "b-00002-of-00002.gguf",
        "mmproj-a.gguf",
        "notes.txt",
        "c.llamafile",
        "d.llamafile",
        "split/x-00002-of-00002.gguf",
        "split/x-00001-of-00002.gguf",
        "split/mmproj.gguf",
    ] {
        fs::write(dir.join(name), "").expect("a writable folder");
    }
    let packed = |path: &Path| path.ends_with("c.llamafile").then(|| path.join("inner").into());
    let models = models_in(&dir, &packed).expect("a folder");
    let names: Vec<&str> = models.keys().map(String::as_str).collect();
    assert_eq!(names, ["a", "b", "c", "split"]);
    assert!(models["split"].path().ends_with("split/x-00001-of-00002.gguf"));
    assert!(models["c"].path().ends_with("inner"));
    assert!(models_in(&dir.join("none"), &packed).is_err());
}

#[test]
fn models_are_loaded_once_and_answer() {
    let fleet = fleet("fleet-load", settings());
    assert_eq!(fleet.list().len(), 4);
    assert!(loaded(&fleet).is_empty());
    let prompt = Fixture::named("jamba").tokens();
    std::thread::scope(|scope| {
        let all = (0..6).map(|i| {
            let (fleet, prompt) = (&fleet, &prompt);
            scope.spawn(move || {
                let broken = fleet.get(Some("broken")).err().expect("it is broken").to_string();
                assert!(broken.contains("broken.gguf"), "{broken}");
                let name = if i % 2 == 0 { "jamba" } else { "mamba" };
                let worker = fleet.get(Some(name)).expect("it loads");
                let (answer, _) = ask(&worker, request(prompt, 5)).wait();
                assert_eq!(answer.len(), 5);
                (name, worker)
            })
        });
        let all: Vec<_> = all.collect();
        let all: Vec<_> = all.into_iter().map(|one| one.join().expect("an answer")).collect();
        for name in ["jamba", "mamba"] {
            let mut workers = all.iter().filter(|(of, _)| *of == name).map(|(_, worker)| worker);
            let first = workers.next().expect("one");
            assert!(workers.all(|worker| Arc::ptr_eq(first, worker)), "{name} is loaded once");
        }
    });
    assert_eq!(loaded(&fleet), ["jamba", "mamba"]);
    let status = fleet.list().into_iter().find(|model| model.name == "broken").expect("it");
    assert!(status.error.is_some() && status.state == ModelState::Unloaded);
    let status = fleet.list().into_iter().find(|model| model.name == "jamba").expect("it");
    assert!(status.loaded.is_some_and(|(_, n_ctx)| n_ctx == 448));
    assert!(status.idle.is_some() && status.bytes.is_some_and(|n| n > 1000));
}

#[test]
fn names_are_known_or_not() {
    let nameless = fleet("fleet-names-unknown", settings());
    let unknown = nameless.get(Some("other")).err().expect("unknown").to_string();
    assert!(unknown.contains("'other'") && unknown.contains("jamba"), "{unknown}");
    assert!(nameless.get(None).is_err());
    let lazy = fleet("fleet-lazy", FleetOptions { autoload: false, ..settings() });
    assert!(matches!(lazy.get(Some("jamba")), Err(Error::NotLoaded { .. })));
    assert!(lazy.load("jamba").is_ok() && lazy.get(Some("jamba")).is_ok());
    assert!(lazy.unload("jamba").expect("a model") && loaded(&lazy).is_empty());
    assert!(!lazy.unload("jamba").expect("a model"));
    let default_model = Some("none".to_owned());
    let options = FleetOptions { default_model, ..settings() };
    assert!(Fleet::new(models(&folder("fleet-default")), options).is_err());
}

#[test]
fn the_oldest_idle_one_makes_way() {
    let options =
        FleetOptions { most_loaded: 2, default_model: Some("mamba".to_owned()), ..settings() };
    let fleet = fleet("fleet-most", options);
    drop(fleet.get(None).expect("the default"));
    let jamba = fleet.get(Some("jamba")).expect("it loads");
    assert!(matches!(fleet.get(Some("llama-gqa")), Err(Error::FleetBusy { .. })));
    assert!(!fleet.unload("jamba").expect("a model"), "someone has it");
    // Nobody has it, but it is at work.
    let prompt = Fixture::named("jamba").tokens();
    let answer = ask(&jamba, request(&prompt, 300));
    drop(jamba);
    let busy = fleet.get(Some("llama-gqa"));
    assert!(matches!(busy, Err(Error::FleetBusy { .. })) || loaded(&fleet).len() == 2);
    assert!(answer.wait().0.len() > 100);
    let begin = Instant::now();
    while fleet.get(Some("llama-gqa")).is_err() {
        assert!(begin.elapsed() < Duration::from_secs(30));
    }
    assert_eq!(loaded(&fleet), ["llama-gqa", "mamba"]);
}

#[test]
fn memory_bounds_what_is_loaded() {
    let dir = folder("fleet-memory");
    let all = models(&dir);
    let size = |name: &str| {
        let engine = Engine::load(all[name].clone(), &settings().engine).expect("it loads");
        engine.plan().total()
    };
    let (gqa, jamba, mamba) = (size("llama-gqa"), size("jamba"), size("mamba"));
    let memory = Some(gqa.max(jamba) + mamba + gqa.min(jamba) / 2);
    let fleet = Fleet::new(all, FleetOptions { memory, ..settings() }).expect("a fleet");
    for name in ["mamba", "jamba"] {
        drop(fleet.get(Some(name)).expect("it fits"));
    }
    drop(fleet.get(Some("mamba")).expect("it is there"));
    assert_eq!(loaded(&fleet), ["jamba", "mamba"]);
    drop(fleet.get(Some("llama-gqa")).expect("it fits without another"));
    assert_eq!(loaded(&fleet), ["llama-gqa", "mamba"]);
    let held = fleet.get(Some("mamba")).expect("it is there");
    let other = fleet.get(Some("llama-gqa")).expect("it is there");
    let refused = fleet.get(Some("jamba")).err().expect("no room");
    assert!(matches!(refused, Error::FleetBusy { .. } | Error::TooLarge { .. }), "{refused}");
    assert_eq!(loaded(&fleet), ["llama-gqa", "mamba"], "nothing is unloaded in vain");
    drop((held, other));
}

#[test]
fn what_nobody_uses_is_unloaded() {
    let options = FleetOptions {
        idle_time: Some(Duration::from_millis(150)),
        default_model: Some("mamba".to_owned()),
        ..settings()
    };
    let fleet = fleet("fleet-age", options);
    let held = fleet.get(Some("jamba")).expect("it loads");
    for name in ["mamba", "llama-gqa"] {
        drop(fleet.get(Some(name)).expect("it loads"));
    }
    let wait_for = |expected: &[&str]| {
        let begin = Instant::now();
        while loaded(&fleet) != expected {
            assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", loaded(&fleet));
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    wait_for(&["jamba", "mamba"]);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(loaded(&fleet), ["jamba", "mamba"]);
    drop(held);
    wait_for(&["mamba"]);
    assert!(fleet.get(Some("llama-gqa")).is_ok());
}
