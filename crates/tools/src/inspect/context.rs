//! The memory that contexts take.

use backend::{KvType, KvTypes};
use engine::{Options, Plan};
use model::Model;
use serde::Serialize;

/// The shortest context that is listed, where the model was trained for longer ones.
const SHORTEST: usize = 4096;

/// Formats of keys and values that are listed.
const FORMATS: [KvType; 3] = [KvType::F16, KvType::Q8_0, KvType::Q4_0];

/// The memory that contexts of one text take besides the weights, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContextMemory {
    /// Context length that the model was trained with.
    pub trained: usize,
    /// Formats of keys and values, one for each column.
    pub formats: Vec<&'static str>,
    /// From short to long, the last one as trained.
    pub rows: Vec<ContextRow>,
}

/// A context length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContextRow {
    /// Positions.
    pub n_ctx: usize,
    /// Bytes of all that is remembered, for each format; `None` where the model can't have it.
    pub bytes: Vec<Option<u64>>,
    /// Bytes that a batch is computed in, with the first format.
    pub work: Option<u64>,
}

/// For 4096 positions, twice as many and so on, up to what the model was trained for.
pub(super) fn memory(model: &dyn Model, weights: u64) -> ContextMemory {
    let trained = model.shape().n_ctx_train;
    let lengths = std::iter::successors(Some(SHORTEST), |n| n.checked_mul(2));
    let lengths = lengths.take_while(|&n| n < trained).chain([trained]);
    let row = |n_ctx| {
        let plan = |format: KvType| {
            let options = Options {
                n_ctx: Some(n_ctx),
                kv_types: KvTypes { k: format, v: format },
                overcommit: true,
                threads: Some(1),
                ..Options::default()
            };
            Plan::new(model, weights, &options, None).ok()
        };
        let plans = FORMATS.map(plan);
        ContextRow {
            n_ctx,
            bytes: plans.iter().map(|p| p.as_ref().map(|p| p.positions + p.states)).collect(),
            work: plans[0].as_ref().map(|plan| plan.work),
        }
    };
    let rows = lengths.filter(|&n| n > 0).map(row).collect();
    ContextMemory { trained, formats: FORMATS.map(KvType::name).to_vec(), rows }
}

#[cfg(test)]
mod tests {
    use fixtures::Fixture;

    use super::*;

    #[test]
    fn smaller_formats_take_less() {
        let of = |name: &str| {
            let model = model::load(&Fixture::named(name).model()).expect("the fixture loads");
            let memory = memory(&*model, 0);
            let row = memory.rows.last().expect("the trained length");
            assert_eq!(row.n_ctx, model.shape().n_ctx_train);
            row.bytes.clone()
        };
        // Heads of 48 values are no whole blocks.
        assert!(matches!(of("llama-gqa")[..], [Some(_), None, None]));
        let bytes: Vec<u64> = of("qwen3").into_iter().flatten().collect();
        assert!(bytes.len() == 3 && bytes.is_sorted_by(|a, b| a > b), "{bytes:?}");
        // Blocks of 32 values in 34 and 18 bytes instead of 64.
        assert_eq!((bytes[1] * 64, bytes[2] * 64), (bytes[0] * 34, bytes[0] * 18));
    }
}
