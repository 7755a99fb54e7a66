//! What the stores of all workers share.

use std::sync::{Arc, atomic::AtomicU64};

use tokio::sync::Mutex;

use super::{
    Catalogue, DurabilityWanted, Figures, IdSigner, PreflightError, PreflightReport, ServiceTerms, Topology,
    order_counts::CountedOrders,
    redis::{durability::Barrier, identity::Identity, meter::CallMeter, preflight, runner::Runner},
    state::LastLook,
};
use crate::metrics::Workers;

/// How to reach Redis, the scripts, the terms, and the signer with the secret that Redis keeps.
#[derive(Clone)]
pub struct Blueprint {
    pub topology: Topology,
    pub catalogue: Arc<Catalogue>,
    pub terms: ServiceTerms,
    pub(super) ids: IdSigner,
    pub(super) identity: Arc<Identity>,
    /// What the service waits for before it answers a payment event.
    pub(super) barrier: Option<Barrier>,
    pub(super) audits: Arc<Mutex<()>>,
    pub(super) figures: Arc<Figures>,
    pub(super) last_look: LastLook,
    pub(super) counted_orders: Arc<CountedOrders>,
    /// What workers count of their calls to Redis.
    pub(super) meters: Arc<Workers<CallMeter>>,
    /// How often a worker gave a product a SKU.
    pub(super) skus_given: Arc<AtomicU64>,
}

impl Blueprint {
    /// Checks Redis, claims the key schema, fetches or makes the secret, and loads the scripts.
    ///
    /// # Errors
    /// [`PreflightError`].
    pub async fn prepare(
        topology: Topology,
        catalogue: Arc<Catalogue>,
        terms: ServiceTerms,
        durability: DurabilityWanted,
    ) -> Result<(Self, PreflightReport), PreflightError> {
        let runner = Runner::new(&topology, Arc::clone(&catalogue));
        let (report, barrier) = preflight::check(&runner, &topology, durability).await?;
        let schema = catalogue.schema();
        let secret = preflight::claim(&runner, schema).await?;
        for node in runner.primaries().await? {
            match runner.ensure_scripts(&node).await {
                // Whoever calls it later loads them.
                Err(failure) if topology.is_cluster() && failure.is_absence() => {}
                done => done?,
            }
        }
        let blueprint = Self {
            topology,
            catalogue,
            terms,
            ids: IdSigner::new(secret.bytes()),
            identity: Arc::new(Identity::new(secret, schema)),
            barrier,
            audits: Arc::default(),
            figures: Arc::new(Figures::begin()),
            last_look: Arc::default(),
            counted_orders: Arc::default(),
            meters: Arc::default(),
            skus_given: Arc::default(),
        };
        Ok((blueprint, report))
    }
}
