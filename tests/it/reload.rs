//! Plugin files change while calls flow: no call fails, each is decided by one version, nothing is left behind; a broken
//! file is refused and the old version goes on.

use std::os::unix::fs::symlink;

use futures::FutureExt;
use symgate_tests::{
    Wasm,
    client::ask,
    eventually,
    load::Load,
    stamp::{A, B, Stamped, version},
};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_times_under_load() {
    let wasm = Wasm::of("stamp");
    let stamped = Stamped::start(&wasm.path()).await;
    let gateway = &stamped.gateway;
    // The fixture's selector refuses a symbol that is not its own version's: a call decided half by one version and half
    // by the other would fail.
    let mut load = Load::start(gateway, 8, |mut client, _| {
        async move {
            client.get_kline(ask("any")).await.expect("no call fails for a reload");
        }
        .boxed()
    });
    let mut warm = 0;
    for round in 0..50 {
        let symbol = if round % 2 == 0 { B } else { A };
        let before = gateway.plugin_version("stamp").await;
        wasm.write(&version(symbol));
        eventually!(gateway.plugin_version("stamp").await != before, "reload {round} does not happen");
        eventually!(stamped.decides().await == symbol, "the new version decides");
        load.calls_more(100).await;
        if round == 9 {
            warm = gateway.rss();
        }
    }
    load.stop().await;
    eventually!(
        gateway.rss() < warm + 16 * MIB,
        "after 10 reloads the gateway had {} MiB, after 50 it has {} MiB",
        warm / MIB,
        gateway.rss() / MIB
    );
}

#[tokio::test]
async fn however_the_file_is_written() {
    let wasm = Wasm::of("stamp");
    let stamped = Stamped::start(&wasm.path()).await;
    wasm.write_in_place(&version(B));
    eventually!(stamped.decides().await == B, "cut and written again");
    wasm.write(&version(A));
    eventually!(stamped.decides().await == A, "replaced by a rename");
    std::fs::remove_file(wasm.path()).unwrap();
    wasm.write_in_place(&version(B));
    eventually!(stamped.decides().await == B, "removed and written anew");
}

#[tokio::test]
async fn by_the_swap_of_a_linked_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (name, symbol) in [("one", A), ("two", B)] {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("stamp.wasm"), version(symbol)).unwrap();
    }
    symlink("one", at("..data")).unwrap();
    symlink("..data/stamp.wasm", at("stamp.wasm")).unwrap();
    let stamped = Stamped::start(&at("stamp.wasm")).await;
    assert_eq!(stamped.decides().await, A);
    symlink("two", at("..new")).unwrap();
    std::fs::rename(at("..new"), at("..data")).unwrap();
    eventually!(stamped.decides().await == B, "the linked folder was swapped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_is_refused_with_its_reason_and_the_old_version_goes_on() {
    let wasm = Wasm::of("stamp");
    let stamped = Stamped::start(&wasm.path()).await;
    let gateway = &stamped.gateway;
    let before = gateway.plugin_version("stamp").await;
    let mut load = Load::start(gateway, 4, |mut client, _| {
        async move {
            client.get_kline(ask("any")).await.expect("the old version decides");
        }
        .boxed()
    });
    let whole = version(B);
    let refusals = [&b"not Wasm at all"[..], &whole[..whole.len() / 2], b"\0asm\x01\0\0\0"];
    for (round, broken) in refusals.into_iter().enumerate() {
        wasm.write(broken);
        let expected = f64::from(u32::try_from(round + 1).unwrap());
        let labels = "plugin=\"stamp\",outcome=\"rejected\"";
        eventually!(gateway.metric("symgate_plugin_loads_total", labels).await >= expected, "broken file {round}");
        assert_eq!(gateway.plugin_version("stamp").await, before, "the old version decides");
    }
    assert!(gateway.log().says(&["stamp", "reject"]), "the log says what was rejected");
    load.calls_more(100).await;
    load.stop().await;
    wasm.write(&whole);
    eventually!(stamped.decides().await == B, "a good file is taken again");
}
