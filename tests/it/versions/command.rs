//! `symgate plugin rollback` and `symgate plugin reload`.

use symgate_tests::{
    Wasm, eventually,
    gateway::run_in,
    stamp::{A, B, Stamped, version},
};

#[tokio::test]
async fn commands_go_back_and_read_the_file() {
    let wasm = Wasm::of("stamp");
    let stamped = Stamped::start(&wasm.path()).await;
    let gateway = &stamped.gateway;
    let folder = tempfile::tempdir().unwrap();
    let admin = gateway.admin_address().to_string();
    let run = async |what: &str, name: &str| {
        let output = run_in(folder.path(), &["plugin", what, name, "--admin", &admin], &[]).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let first = gateway.plugin_version("stamp").await;
    wasm.write(&version(B));
    eventually!(stamped.decides().await == B, "the new version decides");
    let second = gateway.plugin_version("stamp").await;

    let back = format!("plugin stamp: {first} decides; before: {second}\n");
    assert_eq!(run("rollback", "stamp").await, (Some(0), back));
    assert_eq!(stamped.decides().await, A);
    let (code, said) = run("rollback", "stamp").await;
    assert!(code == Some(1) && said.contains("no earlier version is kept"), "{code:?} {said}");
    let again = format!("plugin stamp: {second} decides; before: {first}\n");
    assert_eq!(run("reload", "stamp").await, (Some(0), again));
    assert_eq!(stamped.decides().await, B);
    let (code, said) = run("reload", "stemp").await;
    assert!(code == Some(1) && said.contains("there is no plugin \"stemp\"; /plugins lists them"), "{code:?} {said}");
    let (code, said) = run("reload", "beside").await;
    assert!(code == Some(1) && said.contains("it is a built-in: there is no file to read"), "{code:?} {said}");
}
