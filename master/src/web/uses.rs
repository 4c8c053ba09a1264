//! What uses a definition: what would be left hanging if it were deleted, in words.

use crate::engine::catalog::Catalog;
use shared::ids::*;

pub fn uses_of_interface(catalog: &Catalog, id: InterfaceId) -> Vec<String> {
    let mut uses = Vec::new();
    for other in catalog.interfaces.values().filter(|other| other.id != id) {
        if other.spec.parents.iter().any(|parent| parent.interface == id) {
            uses.push(format!("interface {} {}", other.id, other.name));
        }
        for job in &other.jobs {
            if job.spec.needs.iter().any(|need| need.interface == id) {
                uses.push(format!("job {} {}", job.id, job.name));
            }
        }
    }
    for dispatch in catalog.dispatches.values().filter(|d| d.spec.interface == id) {
        uses.push(format!("dispatch {} {}", dispatch.id, dispatch.name));
    }
    uses
}

pub fn uses_of_job(catalog: &Catalog, id: JobId) -> Vec<String> {
    let jobs = catalog.interfaces.values().flat_map(|interface| &interface.jobs);
    jobs.filter(|job| {
        job.spec.after.iter().any(|edge| edge.job == id)
            || job.spec.needs.iter().any(|need| need.job == id)
    })
    .map(|job| format!("job {} {}", job.id, job.name))
    .collect()
}

pub fn uses_of_host(catalog: &Catalog, id: HostId) -> Vec<String> {
    let jobs = catalog.interfaces.values().flat_map(|interface| &interface.jobs);
    jobs.filter(|job| job.spec.place.hosts.contains(&id))
        .map(|job| format!("job {} {}", job.id, job.name))
        .collect()
}
