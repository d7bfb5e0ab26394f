//! Capture points: which interfaces of a session are the same place.

use super::uid::{self, POINT};
use crate::frame::InterfaceInfo;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Interfaces by place: equal namespace and name are one point, in whatever file or section they stand.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Points {
    /// Not kept: another source numbers its interfaces anew.
    #[serde(skip)]
    of_interface: Vec<u32>,
    points: Vec<Point>,
}

/// One place where frames were captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Namespace, when known.
    pub netns: Option<String>,
    /// Interface name, when known.
    pub interface: Option<String>,
    /// What stands for it in uids.
    named: [u8; POINT],
}

impl Point {
    fn new(netns: Option<String>, interface: Option<String>) -> Self {
        let named = uid::point(netns.as_deref(), interface.as_deref());
        Self { netns, interface, named }
    }
}

impl Points {
    /// Learns the interfaces of a batch; those known already are skipped.
    pub fn learn(&mut self, interfaces: &[Arc<InterfaceInfo>]) {
        for info in interfaces.iter().skip(self.of_interface.len()) {
            let same = |known: &Point| known.netns == info.netns && known.interface == info.name;
            let at = self.points.iter().position(same).unwrap_or_else(|| {
                self.points.push(Point::new(info.netns.clone(), info.name.clone()));
                self.points.len() - 1
            });
            self.of_interface.push(at as u32);
        }
    }

    /// The point of an interface by its index in the batch.
    #[must_use]
    #[inline]
    pub fn of(&self, interface: u32) -> u32 {
        self.of_interface.get(interface as usize).copied().unwrap_or(0)
    }

    /// A point by number.
    #[must_use]
    pub fn get(&self, point: u32) -> Option<&Point> {
        self.points.get(point as usize)
    }

    /// What stands for a point in uids.
    #[must_use]
    pub(super) fn named(&self, point: u32) -> &[u8; POINT] {
        self.get(point).map_or(&[0; POINT], |point| &point.named)
    }

    /// All points.
    #[must_use]
    pub fn all(&self) -> &[Point] {
        &self.points
    }
}
