//! Which route a call takes: the longest match on the path, then the first rule whose conditions hold.

use rustc_hash::FxHashMap;

use super::{Found, Head};

/// The paths that a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// One method: `/pb.KlineService/GetKline`.
    Method(String),
    /// Every method of a protobuf service: `/pb.KlineService/`.
    Service(String),
    /// Every path: `/`.
    All,
}

/// What a call must carry besides its path; empty: anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The exact `:authority`.
    pub authority: Option<String>,
    /// Metadata keys (lower case) and their exact, single values.
    pub metadata: Vec<(String, String)>,
}

/// All rules, each leading to a `T`.
#[derive(Clone, Debug)]
pub struct Routes<T> {
    methods: FxHashMap<String, Vec<(Condition, T)>>,
    services: FxHashMap<String, Vec<(Condition, T)>>,
    all: Vec<(Condition, T)>,
}

impl PathMatch {
    /// Reads `/package.Service/Method`, `/package.Service/` or `/`; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('/')?;
        match rest.split_once('/') {
            None if rest.is_empty() => Some(Self::All),
            Some((service, "")) if !service.is_empty() => Some(Self::Service(text.into())),
            Some((service, method)) if !service.is_empty() && !method.contains('/') => Some(Self::Method(text.into())),
            _ => None,
        }
    }

    /// Whether this is the path of a method that it is about.
    pub fn takes(&self, method: &str) -> bool {
        matches!(Self::parse(method), Some(Self::Method(_)))
            && match self {
                Self::Method(path) => path == method,
                Self::Service(service) => method.starts_with(&**service),
                Self::All => true,
            }
    }
}

impl Condition {
    fn holds(&self, head: &impl Head) -> bool {
        self.authority.as_deref().is_none_or(|authority| authority == head.authority())
            && self.metadata.iter().all(|(key, value)| head.metadata(key) == Found::One(value.as_bytes()))
    }
}

impl<T> Routes<T> {
    /// From the rules in the order of the configuration.
    pub fn new(rules: impl IntoIterator<Item = (PathMatch, Condition, T)>) -> Self {
        let mut routes = Self { methods: FxHashMap::default(), services: FxHashMap::default(), all: Vec::new() };
        for (path, condition, target) in rules {
            let rules = match path {
                PathMatch::Method(path) => routes.methods.entry(path).or_default(),
                PathMatch::Service(path) => routes.services.entry(path).or_default(),
                PathMatch::All => &mut routes.all,
            };
            rules.push((condition, target));
        }
        routes
    }

    /// Where calls may go, in no order.
    pub fn targets(&self) -> impl Iterator<Item = &T> {
        let rules = self.methods.values().chain(self.services.values()).chain([&self.all]);
        rules.flatten().map(|(_, target)| target)
    }

    /// Where the call goes; `None`: no route.
    pub fn find(&self, head: &impl Head) -> Option<&T> {
        let path = head.path();
        let service = path.rfind('/').and_then(|end| path.get(..=end)).unwrap_or(path);
        let by_path = [self.methods.get(path), self.services.get(service), Some(&self.all)];
        by_path.into_iter().flatten().flatten().find(|(condition, _)| condition.holds(head)).map(|(_, target)| target)
    }
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self::new([])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Call(&'static str, &'static str, Vec<(&'static str, &'static str)>);

    impl Head for Call {
        fn path(&self) -> &str {
            self.0
        }
        fn authority(&self) -> &str {
            self.1
        }
        fn metadata(&self, key: &str) -> Found<'_> {
            let mut values = self.2.iter().filter(|(name, _)| *name == key);
            match (values.next(), values.next()) {
                (None, _) => Found::Absent,
                (Some((_, value)), None) => Found::One(value.as_bytes()),
                _ => Found::Repeated,
            }
        }
    }

    fn routes() -> Routes<&'static str> {
        let rule = |path: &str, condition: Condition, name| (PathMatch::parse(path).expect(path), condition, name);
        let authority = Condition { authority: Some("gex".into()), ..Condition::default() };
        let metadata = Condition { metadata: vec![("product".into(), "spot".into())], ..Condition::default() };
        Routes::new([
            rule("/", Condition::default(), "all"),
            rule("/pb.K/", authority, "service of gex"),
            rule("/pb.K/", metadata, "service of spot"),
            rule("/pb.K/", Condition::default(), "service"),
            rule("/pb.K/Get", Condition::default(), "method"),
        ])
    }

    #[track_caller]
    fn check(call: &Call, expected: &str) {
        assert_eq!(routes().find(call), Some(&expected), "{} {} {:?}", call.0, call.1, call.2);
    }

    #[test]
    fn the_longest_match_wins_then_the_first_whose_conditions_hold() {
        check(&Call("/pb.K/Get", "gex", vec![]), "method");
        check(&Call("/pb.K/GetAll", "gex", vec![]), "service of gex");
        check(&Call("/pb.K/GetAll", "other", vec![("product", "spot")]), "service of spot");
        check(&Call("/pb.K/GetAll", "other", vec![("product", "spot"), ("product", "spot")]), "service");
        check(&Call("/pb.K/GetAll", "", vec![]), "service");
        check(&Call("/pb.KV2/Get", "gex", vec![]), "all");
        check(&Call("*", "", vec![]), "all");
    }

    #[test]
    fn no_rule_no_route() {
        assert_eq!(Routes::<()>::default().find(&Call("/pb.K/Get", "", vec![])), None);
    }

    #[test]
    fn a_match_has_one_of_three_shapes() {
        for text in ["", "pb.K/Get", "//", "//Get", "/pb.K", "/pb.K/Get/More", "/pb.K//"] {
            assert_eq!(PathMatch::parse(text), None, "{text:?}");
        }
    }
}
