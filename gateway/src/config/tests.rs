//! What is read and what is refused. `cases/` holds one broken file per mistake and beside it the text it must give.

use std::{collections::BTreeSet, fs, path::Path};

use super::*;

const EXAMPLE: &str = include_str!("../../../symgate.example.toml");

fn parse(text: &str) -> Result<Config, ConfigError> {
    let variables = |name: &str| (name == "ETCD_PASSWORD").then(|| "s3cret".to_owned());
    Config::parse_with(text, Path::new("/etc/symgate"), &variables)
        .map_err(|mistakes| ConfigError::new("symgate.toml", text, mistakes))
}

#[track_caller]
fn read(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_case_is_refused_with_its_text() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/cases");
    let mut wrong = Vec::new();
    for case in fs::read_dir(folder).expect("the cases") {
        let path = case.expect("a case").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a case");
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        let found = parse(&text).err().map_or_else(|| "accepted".to_owned(), |error| error.to_string());
        if found != expected.trim_end() {
            wrong.push(format!("{}\n  expected: {expected}\n  found:    {found}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const MINIMAL: &str = "[[route]]\nmatch = '/'\nservice = 'klineRpc'\n";

#[test]
fn a_route_is_enough() {
    let config = read(MINIMAL);
    let file = Source::File("/etc/symgate/instances.toml".into());
    let registry = Registry { name: "main".into(), prefix: String::new(), source: file, keep: None, networks: None };
    assert_eq!(config.registries, [registry]);
    assert_eq!(
        config.services,
        [Service {
            name: "klineRpc".into(),
            registry: 0,
            key: None,
            exclusive: true,
            end_streams: false,
            guard: Guard::default(),
            tls: None,
            expected: None
        }]
    );
    assert_eq!(config.plugins.iter().map(|plugin| &*plugin.name).collect::<Vec<_>>(), ["least-loaded"]);
    let route = config.routes.first().expect("the route");
    assert_eq!((route.extract, route.select, route.unknown_symbol), (None, 0, 5));
}

#[test]
fn names_become_places() {
    let config = read(
        "[[registry]]\nname = 'files'\nfile = 'i.toml'\n\
         [[registry]]\nname = 'etcd'\nprefix = '/prod/'\n\
         etcd = { endpoints = ['http://a:2379'], user = 'root', password = '${ETCD_PASSWORD}', watchdog = '10s',\n\
         audit = '5m' }\n\
         [[service]]\nname = 'orders'\nregistry = 'etcd'\nkey = 'orders_{symbol}/{id}'\nexclusive = false\n\
         [[plugin]]\nname = 'mine'\npath = 'p/mine.wasm'\nbuiltin = 'message-field'\nlimits = { time = '2ms' }\nremember = false\n\
         [plugin.config]\nz = [1, 2.5, true, { a = 'b' }]\nd = 2026-01-01\n\
         [[route]]\nmatch = '/o.Orders/'\nmetadata = { Product = 'spot' }\nservice = 'orders'\nextract = 'mine'\n\
         select = { builtin = 'rendezvous-hash', key = 'k' }\non_failure = 'builtin'\nno_symbol = { symbol = 'X' }\n\
         [[route]]\nmatch = '/o.Orders/'\nservice = 'orders'\nextract = 'metadata-key'\nno_symbol = 'any'\n\
         select = { builtin = 'rendezvous-hash', key = 'other' }\nunknown_symbol = 'UNAVAILABLE'\n\
         [[route]]\nmatch = '/'\nservice = 'rest'\nselect = { builtin = 'rendezvous-hash', key = 'k' }\n",
    );
    let Source::Etcd(etcd) = &config.registries[1].source else { panic!("{:?}", config.registries) };
    assert_eq!(etcd.login, Some(("root".into(), "s3cret".into())));
    let seconds = Duration::from_secs;
    assert_eq!((etcd.timeout, etcd.watchdog, etcd.audit), (seconds(5), seconds(10), seconds(300)));
    let services: Vec<_> = config.services.iter().map(|service| (&*service.name, service.registry)).collect();
    assert_eq!(services, [("orders", 1), ("rest", 0)]);
    let plugins: Vec<_> =
        config.plugins.iter().map(|plugin| (&*plugin.name, &*plugin.config, plugin.remember)).collect();
    assert_eq!(
        plugins,
        [
            ("mine", r#"{"d":"2026-01-01","z":[1,2.5,true,{"a":"b"}]}"#, false),
            ("rendezvous-hash", r#"{"key":"k"}"#, true),
            ("metadata-key", "{}", true),
            ("rendezvous-hash-2", r#"{"key":"other"}"#, true),
        ]
    );
    assert_eq!(config.plugins[0].path.as_deref(), Some(Path::new("/etc/symgate/p/mine.wasm")));
    assert_eq!(config.plugins[0].limits, Limits { time: Duration::from_millis(2), ..Limits::default() });
    let places: Vec<_> = config.routes.iter().map(|route| (route.service, route.extract, route.select)).collect();
    assert_eq!(places, [(0, Some(0), 1), (0, Some(2), 3), (1, None, 1)]);
    assert_eq!(config.routes[0].condition.metadata, [("product".into(), "spot".into())]);
    assert_eq!(config.routes[0].no_symbol, NoSymbol::Symbol("X".into()));
    assert_eq!(config.routes[1].no_symbol, NoSymbol::Any);
    assert_eq!((config.routes[0].unknown_symbol, config.routes[1].unknown_symbol), (5, 14));
}

#[test]
fn the_gateway_registers_where_it_is_told() {
    let config = read(&format!(
        "[[registry]]\nname = 'files'\nfile = 'i.toml'\n\
         [[registry]]\nname = 'etcd'\netcd = {{ endpoints = ['http://a:2379'] }}\n\
         [[register]]\nregistry = 'etcd'\nservice = 'gateway'\nformat = 'go-zero'\n\
         [[register]]\nregistry = 'etcd'\nservice = 'klineRpc'\nsymbol = 'X'\nformat = 'endpoints'\naddress = 'gate'\n\
         ttl = '3s'\n{MINIMAL}"
    ));
    let gateway = Register {
        registry: 1,
        service: "gateway".into(),
        symbol: None,
        format: Format::GoZero,
        address: None,
        ttl: Duration::from_secs(10),
    };
    let of_symbol = Register {
        service: "klineRpc".into(),
        symbol: Some("X".into()),
        format: Format::Endpoints,
        address: Some("gate".into()),
        ttl: Duration::from_secs(3),
        ..gateway
    };
    // The service of that name is routed from another registry.
    assert_eq!(config.registers, [gateway.clone(), of_symbol.clone()]);
    assert_eq!(gateway.named_address(config.listen.address), None);
    let address = of_symbol.named_address(config.listen.address).expect("an address").expect("a valid one");
    assert_eq!(address.as_str(), "gate:9000");
}

#[test]
fn files_of_tls_start_at_the_folder_of_the_configuration() {
    let config = read(
        "[listen.tls]\ncertificate = 'tls/a.pem'\nkey = '/run/a.key'\nclient_ca = 'ca.pem'\n\
         [[service]]\nname = 'klineRpc'\ntls = { ca = 'ca.pem', server_name = 'k.internal', certificate = 'c.pem', key = 'c.key' }\n\
         [[service]]\nname = 'rest'\ntls = { ca = '/ca.pem', server_name = '10.0.0.1' }\n\
         [[registry]]\nname = 'e'\netcd = { endpoints = ['https://e:2379'], tls = { ca = '/ca.pem', server_name = '10.0.0.1' } }\n\
         [[route]]\nmatch = '/k.K/'\nservice = 'klineRpc'\nclients = ['spiffe://x/api']\n\
         [[route]]\nmatch = '/'\nservice = 'rest'\n",
    );
    let path = PathBuf::from;
    let listen = ListenTls {
        certificate: path("/etc/symgate/tls/a.pem"),
        key: path("/run/a.key"),
        client_ca: Some(path("/etc/symgate/ca.pem")),
    };
    assert_eq!(config.listen.tls, Some(listen));
    let identity = Identity { certificate: path("/etc/symgate/c.pem"), key: path("/etc/symgate/c.key") };
    let server_name = |name: &'static str| Some(name.try_into().expect("a name"));
    let tls = [
        PeerTls { ca: path("/etc/symgate/ca.pem"), server_name: server_name("k.internal"), identity: Some(identity) },
        PeerTls { ca: path("/ca.pem"), server_name: server_name("10.0.0.1"), identity: None },
    ];
    let Source::Etcd(etcd) = &config.registries[0].source else { panic!("{:?}", config.registries) };
    assert_eq!(etcd.tls.as_ref(), Some(&tls[1]));
    assert_eq!(config.services.into_iter().map(|service| service.tls).collect::<Vec<_>>(), tls.map(Some));
    let clients: Vec<_> = config.routes.iter().map(|route| route.clients.join(" ")).collect();
    assert_eq!(clients, ["spiffe://x/api", ""]);
}

#[test]
fn a_plugin_goes_before_the_built_in_of_its_name() {
    let plugin = "[[plugin]]\nname = 'least-loaded'\npath = 'l.wasm'\n";
    let config = read(&format!("{plugin}{MINIMAL}"));
    assert_eq!(config.plugins.len(), 1);
    assert!(config.plugins[0].path.is_some(), "the default selector is the plugin of that name");
}

#[test]
fn a_plugin_says_which_versions_decide_and_when_its_sandboxes_go() {
    let sha256 = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
    let config = read(&format!(
        "[[plugin]]\nname = 'mine'\npath = 'l.wasm'\nsha256 = '{sha256}'\nreload = 'admin'\nkeep_versions = 0\n\
         recycle = {{ memory = '8MiB' }}\n[[plugin]]\nname = 'other'\npath = 'm.wasm'\n{MINIMAL}"
    ));
    let versions = Versions { sha256: Some(sha256.to_lowercase()), reload: Reload::Admin, keep: 0 };
    assert_eq!((&config.plugins[0].versions, &config.plugins[1].versions), (&versions, &Versions::default()));
    assert_eq!(config.plugins[0].recycle, Recycle { calls: None, memory: Some(8 << 20) });
    assert_eq!(config.plugins[1].recycle, Recycle::default());
}

#[test]
fn compiled_plugins_are_kept_where_the_environment_says_when_the_file_does_not() {
    let check = |folder: &str, variables: &[(&str, &str)], expected: Option<&str>| {
        let text = if folder.is_empty() { String::new() } else { format!("[code_cache]\nfolder = {folder}\n") };
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let config = Config::parse_with(&format!("{text}{MINIMAL}"), Path::new("/etc/symgate"), &variable);
        let found = config.unwrap_or_else(|mistakes| panic!("{mistakes:?}")).code_cache.folder;
        assert_eq!(found.as_deref(), expected.map(Path::new), "{folder:?} with {variables:?}");
    };
    let (home, xdg) = (("HOME", "/home/gate"), ("XDG_CACHE_HOME", "/var/tmp/gate"));
    let service = ("CACHE_DIRECTORY", "/var/cache/gate:/var/cache/other");
    check("", &[], None);
    check("", &[home], Some("/home/gate/.cache/symgate"));
    check("", &[home, xdg], Some("/var/tmp/gate/symgate"));
    check("", &[home, xdg, service], Some("/var/cache/gate/compiled"));
    check("", &[home, ("XDG_CACHE_HOME", "relative")], Some("/home/gate/.cache/symgate"));
    check("'code'", &[home, xdg, service], Some("/etc/symgate/code"));
    check("'/code'", &[home], Some("/code"));
    check("false", &[home, service], None);
}

#[test]
fn an_unreadable_file_is_named() {
    let error = Config::read(Path::new("no/such.toml")).expect_err("there is none");
    let text = error.to_string();
    assert!(text.starts_with("no/such.toml: cannot be read: ") && text.ends_with("with --config"), "{text}");
}

/// A line `#key = value` of the example shows a default; `# ` starts a sentence.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(shown) if !shown.starts_with([' ', '#']) => format!("{shown}\n"),
        _ => format!("{line}\n"),
    };
    EXAMPLE.lines().map(line).collect()
}

#[test]
fn the_example_shows_the_defaults() {
    assert_eq!(read(&uncommented()), read(EXAMPLE));
}

#[test]
fn the_example_shows_every_key() {
    let sections: [(&str, &str); 21] = [
        ("", ""),
        ("[listen]", "[listen]"),
        ("[listen]", "[listen]\n[listen.tls]"),
        ("[upstream]", "[upstream]"),
        ("[admin]", "[admin]"),
        ("[log]", "[log]"),
        ("[decisions]", "[decisions]"),
        ("[code_cache]", "[code_cache]"),
        ("[sandbox]", "[sandbox]"),
        ("[[registry]]", "[[registry]]"),
        ("[[registry]]", "[[registry]]\nname = 'x'\n[registry.etcd]"),
        ("[[registry]]", "[[registry]]\nname = 'x'\n[registry.etcd.tls]"),
        ("[[registry]]", "[[registry]]\nname = 'x'\n[registry.keep]"),
        ("[[service]]", "[[service]]"),
        ("[[service]]", "[[service]]\nname = 'x'\n[service.tls]"),
        ("[[service]]", "[[service]]\nname = 'x'\n[service.expected_symbols]"),
        ("[[plugin]]", "[[plugin]]"),
        ("[[plugin]]", "[[plugin]]\nname = 'x'\n[plugin.limits]"),
        ("[[plugin]]", "[[plugin]]\nname = 'x'\n[plugin.recycle]"),
        ("[[route]]", "[[route]]"),
        ("# [[register]]", "[[register]]"),
    ];
    for (header, toml) in sections {
        let (example, marks) = match header {
            "" => (EXAMPLE.to_owned(), ["[", "]"]),
            _ => (section(header), ["", " ="]),
        };
        for key in keys(toml) {
            let shown = format!("{}{key}{}", marks[0], marks[1]);
            let table = format!(".{key}]");
            assert!(example.contains(&shown) || example.contains(&table), "{header} does not show {key}");
        }
    }
}

/// The keys that are valid after `toml`, as the reader itself lists them.
fn keys(toml: &str) -> BTreeSet<String> {
    let text = format!("{toml}\nqqqqqqqqqqqqqq = 1\n");
    let error = toml::from_str::<raw::File>(&text).map(drop).expect_err("an unknown key");
    let keys: BTreeSet<_> = error.message().split('`').skip(3).step_by(2).map(str::to_owned).collect();
    assert!(!keys.is_empty(), "{error}");
    keys
}

/// The part of the example from a header to the next one.
fn section(header: &str) -> String {
    let lines = EXAMPLE.lines().skip_while(|line| *line != header).skip(1);
    lines.take_while(|line| !line.starts_with('[') || line.starts_with("[plugin.")).collect::<Vec<_>>().join("\n")
}
