//! What is made from the definitions: shapes, who descends from whom, what is frozen.

use super::calendar::Crons;
use super::catalog::{Catalog, Interface};
use super::dag::Shape;
use shared::ids::*;
use shared::period::Cut;
use shared::spec::InterfaceSpec;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(crate) struct Mesh {
    shapes: BTreeMap<(InterfaceId, i64), Arc<Shape>>,
    pub(crate) children: BTreeMap<InterfaceId, BTreeSet<InterfaceId>>,
    families: BTreeMap<InterfaceId, Arc<Vec<InterfaceId>>>,
    frozen: BTreeSet<InterfaceId>,
    frozen_jobs: BTreeSet<(InterfaceId, JobId)>,
    pub(crate) crons: Crons,
    /// Versions that are not stored any more, as far as was asked.
    pub(crate) gone: BTreeSet<(InterfaceId, i64)>,
    /// Live runs.
    pub(crate) by_interface: BTreeMap<InterfaceId, BTreeSet<RunId>>,
}

impl Mesh {
    pub(crate) fn new(catalog: &Catalog) -> Mesh {
        let mut mesh = Mesh::default();
        for interface in catalog.interfaces.values() {
            mesh.learn(interface);
        }
        mesh
    }

    fn learn(&mut self, interface: &Interface) {
        for parent in &interface.spec.parents {
            self.children.entry(parent.interface).or_default().insert(interface.id);
        }
        if interface.spec.frozen {
            self.frozen.insert(interface.id);
        }
        let jobs = interface.jobs.iter().filter(|job| job.spec.frozen);
        self.frozen_jobs.extend(jobs.map(|job| (interface.id, job.id)));
    }

    fn unlearn(&mut self, interface: &Interface) {
        for parent in &interface.spec.parents {
            if let Some(children) = self.children.get_mut(&parent.interface) {
                children.remove(&interface.id);
            }
        }
        self.frozen.remove(&interface.id);
        for job in &interface.jobs {
            self.frozen_jobs.remove(&(interface.id, job.id));
        }
    }

    /// What was edited: the interfaces of the one that are not the same in the other.
    pub(crate) fn edit(&mut self, old: &Catalog, new: &Catalog) -> BTreeSet<InterfaceId> {
        let changed = differing(&old.interfaces, &new.interfaces, |interface| interface.version);
        for id in &changed {
            if let Some(interface) = old.interfaces.get(id) {
                self.unlearn(interface);
            }
            if let Some(interface) = new.interfaces.get(id) {
                self.learn(interface);
            }
        }
        if !changed.is_empty() {
            self.families.clear();
        }
        let calendars = differing(&old.calendars, &new.calendars, |calendar| calendar.version);
        let stays = |shape: &Shape| {
            shape.interface.spec.calendar.is_none_or(|calendar| !calendars.contains(&calendar))
        };
        self.shapes.retain(|_, shape| Arc::strong_count(shape) > 1 && stays(shape));
        changed
    }

    /// 冻结: nothing of it begins.
    pub(crate) fn is_frozen(&self, interface: InterfaceId, job: JobId) -> bool {
        self.frozen.contains(&interface) || self.frozen_jobs.contains(&(interface, job))
    }

    pub(crate) fn is_interface_frozen(&self, interface: InterfaceId) -> bool {
        self.frozen.contains(&interface)
    }

    /// Of one version. One that is nowhere to be found has no jobs, so what runs by it only waits
    /// for the hosts.
    pub(crate) fn shape(
        &mut self,
        catalog: &Catalog,
        id: InterfaceId,
        version: i64,
        project: ProjectId,
    ) -> Arc<Shape> {
        let make = || {
            let interface = catalog.at(id, version).cloned();
            let nothing = || {
                let spec = InterfaceSpec::default();
                let name = id.to_string();
                Arc::new(Interface { id, project, name, version, spec, jobs: Vec::new() })
            };
            let missing = interface.is_none();
            let interface = interface.unwrap_or_else(nothing);
            let utc = || Cut::natural(interface.spec.granularity, chrono_tz::UTC);
            let cut = catalog.cut(&interface.spec).unwrap_or_else(|_| utc());
            Arc::new(Shape { missing, ..Shape::new(interface, cut) })
        };
        Arc::clone(self.shapes.entry((id, version)).or_insert_with(make))
    }

    /// This version has become known: what was made without it is of no use.
    pub(crate) fn forget_shape(&mut self, id: InterfaceId, version: i64) {
        self.shapes.remove(&(id, version));
    }

    /// As it is defined now.
    pub(crate) fn current(&mut self, catalog: &Catalog, id: InterfaceId) -> Option<Arc<Shape>> {
        let interface = catalog.interfaces.get(&id)?;
        Some(self.shape(catalog, id, interface.version, interface.project))
    }

    /// The interface and all that descends from it, parents first: O(interfaces + edges).
    pub(crate) fn family(&mut self, catalog: &Catalog, root: InterfaceId) -> Arc<Vec<InterfaceId>> {
        if let Some(family) = self.families.get(&root) {
            return Arc::clone(family);
        }
        let mut members = BTreeSet::from([root]);
        let mut next = VecDeque::from([root]);
        while let Some(id) = next.pop_front() {
            for &child in self.children.get(&id).into_iter().flatten() {
                if members.insert(child) {
                    next.push_back(child);
                }
            }
        }
        let parents = |id: InterfaceId| {
            let interface = catalog.interfaces.get(&id).filter(|_| id != root);
            let all = interface.into_iter().flat_map(|interface| &interface.spec.parents);
            let all: BTreeSet<InterfaceId> = all.map(|parent| parent.interface).collect();
            all.into_iter().filter(|parent| members.contains(parent)).count()
        };
        let mut missing: BTreeMap<InterfaceId, usize> =
            members.iter().map(|&id| (id, parents(id))).collect();
        let mut order = Vec::with_capacity(members.len());
        next.push_back(root);
        while let Some(id) = next.pop_front() {
            if members.remove(&id) {
                order.push(id);
            }
            for child in self.children.get(&id).into_iter().flatten() {
                if let Some(count) = missing.get_mut(child) {
                    *count = count.saturating_sub(1);
                    if *count == 0 && members.contains(child) {
                        next.push_back(*child);
                    }
                }
            }
        }
        // A cycle is refused when it is saved; if there is one nevertheless, its members come last.
        order.extend(members);
        let family = Arc::new(order);
        self.families.insert(root, Arc::clone(&family));
        family
    }
}

/// The keys under which the two maps do not hold the same version.
pub(crate) fn differing<K: Ord + Copy, V>(
    old: &BTreeMap<K, Arc<V>>,
    new: &BTreeMap<K, Arc<V>>,
    version: impl Fn(&V) -> i64,
) -> BTreeSet<K> {
    let same = |a: &Arc<V>, b: &Arc<V>| Arc::ptr_eq(a, b) || version(a) == version(b);
    let gone = old.keys().filter(|id| !new.contains_key(id));
    let changed = new
        .iter()
        .filter(|(id, value)| old.get(id).is_none_or(|old| !same(old, value)))
        .map(|(id, _)| id);
    gone.chain(changed).copied().collect()
}
