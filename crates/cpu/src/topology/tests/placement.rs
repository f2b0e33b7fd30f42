use super::super::facts::RawProcessor;
use super::*;

/// Two performance cores of two threads (0-3), two efficiency cores (4, 5).
fn hybrid() -> Topology {
    let core = |id: usize| if id < 4 { vec![id / 2 * 2, id / 2 * 2 + 1] } else { vec![id] };
    let processors = (0..6).map(|id| RawProcessor { id, core: core(id), speed: None }).collect();
    let performance = vec![0, 1, 2, 3];
    Facts { processors, performance, ..Facts::default() }.judge()
}

fn plan(placement: Placement, threads: Option<usize>) -> Plan {
    placement.plan(&hybrid(), threads).unwrap()
}

#[test]
fn by_default_the_system_places_threads() {
    assert_eq!(plan(Placement::default(), None), Plan { threads: 2, processors: None });
    assert_eq!(plan(Placement::default(), Some(5)), Plan { threads: 5, processors: None });
    let all = Placement { efficiency_cores: true, ..Placement::default() };
    assert_eq!(plan(all, None), Plan { threads: 4, processors: None });
}

#[test]
fn all_threads_share_the_processors_asked_for() {
    let some = Placement { processors: Some(vec![2, 3, 4, 99]), ..Placement::default() };
    let expected = Plan { threads: 2, processors: Some(vec![vec![2, 3, 4]; 2]) };
    assert_eq!(plan(some.clone(), None), expected);
    let expected = Plan { threads: 3, processors: Some(vec![vec![2, 3, 4]; 3]) };
    assert_eq!(plan(some, Some(3)), expected);
}

#[test]
fn strict_threads_take_cores_first() {
    let seats = |placement, threads| plan(placement, threads).processors.unwrap().concat();
    let strict = Placement { strict: true, ..Placement::default() };
    assert_eq!(seats(strict.clone(), None), [0, 2]);
    // Second threads of cores after that, then from the start.
    assert_eq!(seats(strict.clone(), Some(5)), [0, 2, 1, 3, 0]);
    let all = Placement { efficiency_cores: true, ..strict.clone() };
    assert_eq!(seats(all, Some(6)), [0, 2, 4, 5, 1, 3]);
    let some = Placement { processors: Some(vec![1, 4, 5]), ..strict };
    assert_eq!(seats(some, None), [1, 4, 5]);
}

#[test]
fn processors_that_are_not_there_are_refused() {
    let none = Placement { processors: Some(vec![9, 6, 7, 8, 99]), ..Placement::default() };
    let error = none.plan(&hybrid(), None).unwrap_err().to_string();
    assert!(error.contains("6-9,99 may") && error.contains("0-5"), "{error}");
}
