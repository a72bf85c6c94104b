//! The proxies' configurations: the templates of `tests/bench`, with ports, folders and symbols filled in.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};

use super::Kind;
use crate::bench::ground::{Ground, symbols};

/// What is asked of a proxy.
pub(in crate::bench) struct Listener<'a> {
    pub(in crate::bench) name: &'a str,
    pub(in crate::bench) port: u16,
    pub(in crate::bench) admin: Option<u16>,
    pub(in crate::bench) workers: u8,
}

/// Writes what a proxy reads, and says which file names the rest.
pub(super) fn write(kind: Kind, ground: &Ground, listener: &Listener<'_>) -> Result<PathBuf> {
    let Listener { name, port, admin, workers } = *listener;
    let mut values = vec![("NAME", name.into()), ("PORT", port.to_string()), ("WORKERS", workers.to_string())];
    values.extend(admin.map(|admin| ("ADMIN", admin.to_string())));
    let template = match kind {
        Kind::SymgateWasm => {
            values.push(("PLUGINS", ground.plugins.display().to_string()));
            registrations(ground)?;
            "symgate-wasm.toml"
        }
        Kind::SymgateNative => {
            registrations(ground)?;
            "symgate-native.toml"
        }
        Kind::Haproxy => {
            map(ground, "haproxy.map", "")?;
            "haproxy.cfg"
        }
        Kind::Nginx => {
            map(ground, "nginx.map", ";")?;
            values.push(("TEMPORARY", temporary(kind)?));
            "nginx.conf"
        }
        Kind::Envoy => {
            values.extend([("SYMBOLS", envoy_symbols()), ("OWNERS", envoy_owners(ground))]);
            "envoy.yaml"
        }
    };
    let text = ground.template(template, &values)?;
    let (_, ending) = template.rsplit_once('.').context("a template's name has an ending")?;
    ground.write(&format!("{name}.{ending}"), &text)
}

/// Every symbol of the file registry, with the address of its owner.
fn registrations(ground: &Ground) -> Result<PathBuf> {
    let line = |(symbol, owner): (String, u16)| {
        let port = ground.owners.get(usize::from(owner))?;
        Some(format!("\"prices/{symbol}/1\" = \"127.0.0.1:{port}\"\n"))
    };
    ground.write("instances.toml", &symbols().filter_map(line).collect::<String>())
}

/// A line for each symbol and the name of its owner.
fn map(ground: &Ground, name: &str, end: &str) -> Result<PathBuf> {
    let line = |(symbol, owner)| format!("{symbol} owner{owner}{end}\n");
    ground.write(name, &symbols().map(line).collect::<String>())
}

/// nginx wants to make these folders too, where an ordinary user may not; a module that is not compiled in knows no
/// such directive.
fn temporary(nginx: Kind) -> Result<String> {
    let program = nginx.program().context("nginx is not installed")?;
    let built = Command::new(program).arg("-V").output().context("nginx does not say how it was built")?;
    let built = String::from_utf8_lossy(&built.stderr).into_owned();
    ensure!(
        built.contains("--with-http_v2_module") && !built.contains("--without-http_grpc_module"),
        "this nginx was built without HTTP/2 or grpc_pass; leave it out with --peers"
    );
    let modules = ["fastcgi", "uwsgi", "scgi"];
    let compiled = modules.into_iter().filter(|module| !built.contains(&format!("--without-http_{module}_module")));
    Ok(compiled.map(|module| format!("{module}_temp_path @FOLDER@/nginx-temporary;")).collect::<Vec<_>>().join(" "))
}

fn envoy_symbols() -> String {
    let entry = |(symbol, owner)| {
        format!(
            "                      {symbol}: {{ action: {{ name: owner{owner}, typed_config: {{ \"@type\": \
             type.googleapis.com/envoy.config.route.v3.Route, match: {{ prefix: / }}, route: {{ cluster: \
             owner{owner}, timeout: 0s }} }} }} }}\n"
        )
    };
    symbols().map(entry).collect()
}

fn envoy_owners(ground: &Ground) -> String {
    let cluster = |(owner, port): (usize, &u16)| {
        format!(
            r#"  - name: owner{owner}
    type: STATIC
    connect_timeout: 5s
    circuit_breakers:
      thresholds: [{{ max_connections: 100000, max_pending_requests: 100000, max_requests: 100000 }}]
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config:
          http2_protocol_options: {{ initial_stream_window_size: 1048576, initial_connection_window_size: 16777216 }}
    load_assignment:
      cluster_name: owner{owner}
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}
"#
        )
    };
    ground.owners.iter().enumerate().map(cluster).collect()
}
