//! Asks a policy as the gateway does, for the native tests of plugins: it gives exactly the inputs that were asked for
//! and panics, as tests do, on a policy that breaks the contract. Runs no Wasm.

use crate::{
    call::Call,
    extract::{self, Extractor, Need},
    select::{self, Candidates, MAX_CANDIDATES, Selector},
};

/// One gRPC request with all that it carries.
///
/// ```
/// use symgate_sdk::{extract::Outcome, testkit::Request};
/// # use symgate_sdk::{Call, Extractor, extract::Inputs};
/// # struct ByTenant;
/// # impl Extractor for ByTenant {
/// #     fn new(_config: &str) -> Result<(Self, Inputs), String> {
/// #         Ok((Self, Inputs { metadata: vec!["tenant".into()], ..Inputs::default() }))
/// #     }
/// #     fn extract(&self, call: &Call<'_>) -> Outcome {
/// #         call.text(0).map_or(Outcome::Any, |tenant| Outcome::Symbol(tenant.into()))
/// #     }
/// # }
///
/// let request = Request::to("/pb.KlineService/GetKline").metadata("tenant", "acme").message(b"\x08\x01");
/// assert_eq!(request.extract::<ByTenant>("{}"), Outcome::Symbol("acme".into()));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    path: &'a str,
    metadata: Vec<(&'a str, &'a [u8])>,
    message: &'a [u8],
}

/// The instances that a selector chooses from.
///
/// ```
/// use symgate_sdk::testkit::{Instance, Instances};
///
/// let by_hand = Instances::new().with(Instance::new(1).weight(3)).with(Instance::new(2).latency_us(900));
/// let many: Instances<'_> = (1..=64).map(Instance::new).collect();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Instances<'a> {
    rows: Vec<Instance<'a>>,
}

/// One instance with all that is known of it.
#[derive(Clone, Debug)]
pub struct Instance<'a> {
    weight: u32,
    in_flight: u32,
    latency_us: u32,
    id: u64,
    order: u64,
    labels: Vec<(&'a str, &'a str)>,
}

impl<'a> Request<'a> {
    /// A request to this `:path`, without metadata and with an empty message.
    #[must_use]
    pub fn to(path: &'a str) -> Self {
        Self { path, ..Self::default() }
    }

    /// With this metadata entry.
    #[must_use]
    pub fn metadata(mut self, key: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.metadata.push((key, value.as_ref()));
        self
    }

    /// With this first message.
    #[must_use]
    pub fn message(mut self, message: &'a [u8]) -> Self {
        self.message = message;
        self
    }

    /// What the extractor with this configuration answers in the end.
    ///
    /// # Panics
    /// When it refuses the configuration, or asks for a message against what it said at init.
    #[must_use]
    pub fn extract<E: Extractor>(&self, config: &str) -> extract::Outcome {
        let (policy, inputs) = E::new(config).unwrap_or_else(|error| panic!("refuses {config}: {error}"));
        let metadata = self.values(&inputs.metadata);
        let bare = Call { path: self.path_if(inputs.path), metadata: &metadata, message: None };
        if inputs.message != Need::Always {
            let outcome = policy.extract(&bare);
            if outcome != extract::Outcome::NeedMessage {
                return outcome;
            }
            assert_eq!(inputs.message, Need::OnDemand, "asked for a message that it never wants");
        }
        let outcome = policy.extract(&Call { message: Some(self.message), ..bare });
        assert_ne!(outcome, extract::Outcome::NeedMessage, "asked for the message that it was given");
        outcome
    }

    /// What the selector with this configuration answers, asked about a single candidate too.
    ///
    /// # Panics
    /// When it refuses the configuration or answers with an index out of range.
    #[must_use]
    pub fn select<S: Selector>(
        &self,
        config: &str,
        symbol: &str,
        instances: &Instances<'_>,
        random: u64,
    ) -> select::Outcome {
        let (policy, inputs) = S::new(config).unwrap_or_else(|error| panic!("refuses {config}: {error}"));
        let metadata = self.values(&inputs.metadata);
        let call = Call { path: self.path_if(inputs.path), metadata: &metadata, message: None };
        let rows = &instances.rows;
        assert!((1..=MAX_CANDIDATES).contains(&rows.len()), "a selector is given 1 to {MAX_CANDIDATES} candidates");

        let numbers: Vec<_> = rows.iter().flat_map(|row| row.numbers(&inputs)).collect();
        let labels: Vec<_> =
            rows.iter().flat_map(|row| inputs.labels.iter().map(|key| find(&row.labels, key))).collect();
        let candidates = Candidates::new(&inputs, &numbers, &labels);
        let outcome = policy.select(&call, if inputs.symbol { symbol } else { "" }, &candidates, random);
        if let select::Outcome::Candidate(index) = outcome {
            assert!((index as usize) < rows.len(), "chose candidate {index} of {}", rows.len());
        }
        outcome
    }

    fn path_if(&self, wanted: bool) -> &'a str {
        if wanted { self.path } else { "" }
    }

    fn values(&self, keys: &[String]) -> Vec<Option<&'a [u8]>> {
        keys.iter().map(|key| find(&self.metadata, key)).collect()
    }
}

impl<'a> Instances<'a> {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more.
    #[must_use]
    pub fn with(mut self, instance: Instance<'a>) -> Self {
        self.rows.push(instance);
        self
    }
}

impl<'a> FromIterator<Instance<'a>> for Instances<'a> {
    fn from_iter<I: IntoIterator<Item = Instance<'a>>>(rows: I) -> Self {
        Self { rows: rows.into_iter().collect() }
    }
}

impl<'a> Instance<'a> {
    /// An idle instance of weight 1 with this id, which is its order too.
    #[must_use]
    pub fn new(id: u64) -> Self {
        Self { weight: 1, in_flight: 0, latency_us: 0, id, order: id, labels: Vec::new() }
    }

    /// With this weight.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// With so many calls under way.
    #[must_use]
    pub fn in_flight(mut self, calls: u32) -> Self {
        self.in_flight = calls;
        self
    }

    /// With this latency in microseconds.
    #[must_use]
    pub fn latency_us(mut self, latency: u32) -> Self {
        self.latency_us = latency;
        self
    }

    /// With this create revision.
    #[must_use]
    pub fn order(mut self, revision: u64) -> Self {
        self.order = revision;
        self
    }

    fn numbers(&self, wanted: &select::Inputs) -> impl Iterator<Item = u64> {
        let figures = [self.weight, self.in_flight, self.latency_us].map(u64::from);
        figures.into_iter().chain(wanted.ids.then_some(self.id)).chain(wanted.orders.then_some(self.order))
    }

    /// With this label.
    #[must_use]
    pub fn label(mut self, key: &'a str, value: &'a str) -> Self {
        self.labels.push((key, value));
        self
    }
}

fn find<T: Copy>(entries: &[(&str, T)], key: &str) -> Option<T> {
    entries.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
}
