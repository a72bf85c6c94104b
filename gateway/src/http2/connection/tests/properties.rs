//! What holds for two connections whatever they do.

use proptest::prelude::*;

use super::pair::{Op, Pair, Side};

fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(any::<[u8; 4]>().prop_map(Op::from), 0..300)
}

/// From one byte to more than most bodies have.
fn windows() -> impl Strategy<Value = u32> {
    prop_oneof![1..100_u32, 100..20_000_u32, 20_000..300_000_u32]
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn everything_arrives_in_its_order_and_every_call_ends_once(
        ops in ops(),
        max_streams in 1..12_u32,
        stream_window in windows(),
        connection_window in windows(),
        portion in 1..5000_usize,
    ) {
        let mut pair = Pair::new(max_streams, stream_window, connection_window);
        for side in [Side::Server, Side::Client, Side::Server] {
            pair.apply(Op::Carry { from: side, bytes: portion.max(200) });
        }
        for op in ops {
            pair.apply(op);
        }
        pair.finish();
    }
}
