use backend::KvType;
use cpu::{Cpu, CpuOptions};
use fixtures::Fixture;

use super::*;

const MASKS: Masks = Masks { token: 2, shifted: false };
const PROMPT: [u32; 4] = [5, 6, 7, 8];

fn settings(schedule: Schedule, algorithm: Algorithm) -> Diffusion {
    Diffusion {
        len: 12,
        steps: 6,
        schedule,
        algorithm,
        alg_temp: 0.0,
        cfg_scale: 0.0,
        draw: Draw { temperature: 0.8, top_k: 40, top_p: 0.95, add_gumbel_noise: false },
        seed: 1,
    }
}

/// The answers before each step and at the end.
fn answers(settings: &Diffusion, masks: Masks) -> Vec<Vec<Option<u32>>> {
    let model = model::load(&Fixture::named("llada").model()).expect("the fixture loads");
    let cpu = Cpu::new(CpuOptions { threads: Some(1), ..<_>::default() });
    let context = Context::new(model, Box::new(cpu), 32, KvType::F32).expect("memory");
    let mut text = Text::new(context, masks, &PROMPT, settings);
    let mut answers = Vec::new();
    let mut on_step = |step: usize, answer: &[Option<u32>]| {
        assert!(step < settings.steps);
        answers.push(answer.to_vec());
        ControlFlow::Continue(())
    };
    text.fill_in(settings, &mut on_step).expect("an answer");
    assert_eq!(text.tokens[..4], PROMPT.map(Some));
    answers.push(text.answer().to_vec());
    answers
}

fn n_open(answer: &[Option<u32>]) -> usize {
    answer.iter().filter(|token| token.is_none()).count()
}

#[test]
fn every_algorithm_and_schedule_replaces_all_masks_and_only_them() {
    for algorithm in Algorithm::ALL {
        for schedule in [Schedule::Timestep { eps: 1e-3 }, Schedule::Block { len: 4 }] {
            let answers = answers(&settings(schedule, algorithm), MASKS);
            assert_eq!((answers[0].len(), n_open(&answers[0])), (12, 12));
            for pair in answers.windows(2) {
                let kept = pair[0].iter().zip(&pair[1]).all(|(a, b)| a.is_none() || a == b);
                assert!(kept, "{algorithm:?}: {pair:?}");
            }
            let left = n_open(answers.last().expect("an answer"));
            assert_eq!(left, 0, "{algorithm:?}, {schedule:?}");
        }
    }
}

#[test]
fn blocks_come_one_after_another_in_equal_steps() {
    let answers = answers(&settings(Schedule::Block { len: 6 }, Algorithm::Confidence), MASKS);
    let counts: Vec<usize> = answers.iter().map(|answer| n_open(answer)).collect();
    assert_eq!(counts, [12, 10, 8, 6, 4, 2, 0]);
    assert_eq!(n_open(&answers[2][6..]), 6);
}

#[test]
fn a_clock_runs_evenly() {
    let counts = |step, open| Schedule::Timestep { eps: 0.0 }.count(step, 4, open, 12);
    assert_eq!([counts(0, 12), counts(1, 10), counts(2, 7), counts(3, 3)], [3; 4]);
}

/// Without chance, the surest masks by each measure are first.
#[test]
fn algorithms_take_what_they_say() {
    let sure = |algorithm| {
        let settings = settings(Schedule::Block { len: 12 }, algorithm);
        let choice = |probability, margin, entropy| {
            let choice = Choice { token: 0, probability, margin, entropy };
            rank(&choice, &settings, &mut Chance::new(1))
        };
        [choice(0.9, 0.2, 0.5), choice(0.5, 0.4, 0.3), choice(0.7, 0.1, 0.1)]
    };
    assert_eq!(sure(Algorithm::Confidence), [0.9, 0.5, 0.7]);
    assert_eq!(sure(Algorithm::Margin), [0.2, 0.4, 0.1]);
    assert_eq!(sure(Algorithm::Entropy), [-0.5, -0.3, -0.1]);
}

#[test]
fn seeds_settings_and_shifts_matter() {
    let usual = settings(Schedule::Timestep { eps: 1e-3 }, Algorithm::Confidence);
    let last = |settings: &Diffusion, masks| answers(settings, masks).pop().expect("an answer");
    let expected = last(&usual, MASKS);
    assert_eq!(last(&usual, MASKS), expected);
    let draw = Draw { temperature: 0.0, ..usual.draw };
    for other in [
        Diffusion { seed: 2, ..usual.clone() },
        Diffusion { cfg_scale: 3.0, ..usual.clone() },
        Diffusion { alg_temp: 2.0, ..usual.clone() },
        Diffusion { draw, ..usual.clone() },
    ] {
        assert_ne!(last(&other, MASKS), expected, "{other:?}");
    }
    assert_ne!(last(&usual, Masks { shifted: true, ..MASKS }), expected);
}
