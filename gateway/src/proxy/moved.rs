//! Streams that stay with an instance while their symbol has another owner. A service may want them ended, so that their
//! callers call again and reach the new one.

use std::sync::Arc;

use super::attempt::Target;
use crate::{
    routing::{Instance, Live, Lookup},
    snapshot::Service,
};

/// Whether the symbol is owned by others now. Without any owner it has not moved: the stream is better than none.
pub(super) fn has_moved(service: &Service, target: &Target, from: &Arc<Live>) -> bool {
    let Target::Symbol(symbol) = target else { return false };
    let Lookup::Known(instances) = service.table.lookup(symbol) else { return false };
    let owns = |instance: &Instance| !instance.draining && Arc::ptr_eq(&instance.live, from);
    !instances.iter().any(|instance| owns(instance)) && instances.iter().any(|instance| !instance.draining)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{Labels, ServiceTable};

    fn live(port: u16) -> Arc<Live> {
        Arc::new(Live::new(format!("10.0.0.1:{port}").parse().expect("an address")))
    }

    #[test]
    fn a_symbol_moves_when_others_own_it() {
        let (old, new) = (live(1), live(2));
        let check = |owners: &[(&Arc<Live>, bool)], expected| {
            let instance = |(live, draining): &(&Arc<Live>, bool)| {
                let (labels, live, draining) = (Labels::default(), (*live).clone(), *draining);
                Arc::new(Instance { labels, weight: 1, order: 1, owner: 1, draining, live })
            };
            let instances: Arc<[_]> = owners.iter().map(instance).collect();
            let table = Arc::new(ServiceTable::default().with([("BTC_USDT".into(), instances)]));
            let service = Service { table, ..Service::default() };
            let target = Target::Symbol("BTC_USDT".into());
            assert_eq!(has_moved(&service, &target, &old), expected, "{owners:?}");
            assert!(!has_moved(&service, &Target::Any, &old), "any instance is as good");
        };
        check(&[(&old, false)], false);
        check(&[(&old, false), (&new, false)], false);
        check(&[(&new, false)], true);
        check(&[(&old, true), (&new, false)], true);
        check(&[(&old, true)], false);
        check(&[(&new, true)], false);
        check(&[], false);
    }
}
