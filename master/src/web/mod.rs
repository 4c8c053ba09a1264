//! Pages and API: floor 4. This file is the URL map; each family of pages has a file.
//!
//! Every route is entered with the right that it needs ([`Routes`]): there is no other way in. A
//! new page is one file with `routes()`, one `.merge()` here, and one line in [`frame::NAV`].

pub mod auth;
pub mod error;
pub mod frame;

pub mod assets;
pub mod choices;
pub mod filters;
pub mod form;
pub mod i18n;
pub mod list;
pub mod save;
pub mod uses;
pub mod zone;

pub mod account;
pub mod api;

pub mod browse;
pub mod calendar;
pub mod dispatch;
pub mod history;
pub mod home;
pub mod host;
pub mod interface;
pub mod job;
pub mod login;
pub mod version;

pub mod backfill;
pub mod command;
pub mod events;
pub mod execution;
pub mod freeze;
pub mod graph;
pub mod log;
pub mod project;
pub mod stale;
mod steps;
pub mod why;

pub mod away;
mod edge;
mod lead;

use crate::app::App;
use auth::{Access, Right};
use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

pub use error::{Error, Result};
pub use frame::Page;

/// The URL map.
pub fn routes() -> Routes {
    Routes::default()
        .merge(assets::routes())
        .merge(login::routes())
        .merge(account::routes())
        .merge(filters::routes())
        .merge(home::routes())
        .merge(away::routes())
        .merge(interface::routes())
        .merge(job::routes())
        .merge(browse::routes())
        .merge(calendar::routes())
        .merge(dispatch::routes())
        .merge(host::routes())
        .merge(project::routes())
        .merge(version::routes())
        .merge(freeze::routes())
        .merge(execution::routes())
        .merge(log::routes())
        .merge(command::routes())
        .merge(events::routes())
        .merge(why::routes())
        .merge(stale::routes())
        .merge(backfill::routes())
        .merge(api::apply::routes())
        .merge(api::definitions::routes())
        .merge(api::export::routes())
}

/// All pages and the API, ready to be served.
pub fn router(app: App) -> Router {
    edge::wrap(routes().router, app)
}

/// Routes with the right that each needs. What is not entered here is not reachable, and nothing is
/// entered without an [`Access`].
#[derive(Default)]
pub struct Routes {
    router: Router<App>,
    /// For the test that walks them all.
    pub list: Vec<Route>,
}

#[derive(Clone, Debug)]
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub access: Access,
}

impl Routes {
    /// A page or a part of the API that shows something.
    pub fn get<H, T>(self, path: &'static str, right: Right, handler: H) -> Routes
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.on(Method::GET, path, Access::Needs(right), handler)
    }

    /// What changes something.
    pub fn post<H, T>(self, path: &'static str, right: Right, handler: H) -> Routes
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.on(Method::POST, path, Access::Needs(right), handler)
    }

    pub fn put<H, T>(self, path: &'static str, right: Right, handler: H) -> Routes
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.on(Method::PUT, path, Access::Needs(right), handler)
    }

    pub fn delete<H, T>(self, path: &'static str, right: Right, handler: H) -> Routes
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.on(Method::DELETE, path, Access::Needs(right), handler)
    }

    /// For anybody: login, static files, health, and nothing else (a test lists them).
    pub fn public<H, T>(self, method: Method, path: &'static str, handler: H) -> Routes
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.on(method, path, Access::Public, handler)
    }

    pub fn on<H, T>(
        mut self,
        method: Method,
        path: &'static str,
        access: Access,
        handler: H,
    ) -> Routes
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("one of the common methods");
        let route: MethodRouter<App> = on(filter, handler);
        let gate =
            axum::middleware::from_fn(move |request, next| auth::gate(access, request, next));
        self.router = self.router.route(path, route.route_layer(gate));
        self.list.push(Route { method, path, access });
        self
    }

    pub fn merge(mut self, other: Routes) -> Routes {
        self.router = self.router.merge(other.router);
        self.list.extend(other.list);
        self
    }
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}
