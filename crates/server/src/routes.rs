//! Routes that can be listed.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, get, post};

use crate::App;

/// Routes, and the list of them.
#[derive(Default)]
pub struct Routes {
    /// What answers requests.
    pub router: Router<App>,
    /// Methods, in lower case, and paths.
    pub list: Vec<(&'static str, &'static str)>,
}

impl Routes {
    /// With a route that tells something.
    #[must_use]
    pub fn get<T: 'static>(self, path: &'static str, handler: impl Handler<T, App>) -> Self {
        self.with("get", path, get(handler))
    }

    /// With a route that does something.
    #[must_use]
    pub fn post<T: 'static>(self, path: &'static str, handler: impl Handler<T, App>) -> Self {
        self.with("post", path, post(handler))
    }

    /// With others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.list.extend(others.list);
        Self { router: self.router.merge(others.router), list: self.list }
    }

    fn with(mut self, method: &'static str, path: &'static str, route: MethodRouter<App>) -> Self {
        self.list.push((method, path));
        Self { router: self.router.route(path, route), list: self.list }
    }
}
