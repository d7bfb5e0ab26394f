//! Tables of discovery: who claims which address, who is there.

use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_schema::SchemaRef;
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::ffi::{ArrayIterator, to_stream_pycapsule};
use sniffkit_core::neighbor::{Ip, Known, Mac};
use sniffkit_core::packet::NONE;
use sniffkit_core::pipeline::FrameFilter;
use sniffkit_core::source::Source;
use sniffkit_core::table::reader::TableReader;
use sniffkit_core::table::stage::Stage;
use sniffkit_core::table::{arp, hosts};
use sniffkit_core::track::key::{pack_vlans, vlan_at};
use std::net::IpAddr;
use std::sync::Arc;

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Chunk>()
}

/// An address and its stations, as Python keeps it: namespace, interface, VLAN ids, virtual network, address,
/// (hardware address, first claim, last claim) of each station in ns, which of them claimed it last, is it a router's.
pub type KnownTuple =
    (Option<String>, Option<String>, Vec<u16>, Option<u32>, String, Vec<(String, i64, i64)>, usize, bool);

/// A table of this kind: `arp`, `neighbors` or `hosts`.
///
/// # Errors
/// Another kind, a column that is not there, or a known address that is none.
pub fn open(
    kind: &str,
    source: Box<dyn Source>,
    filter: Option<FrameFilter>,
    columns: Option<&[String]>,
    known: Option<Vec<KnownTuple>>,
    gateways: &[String],
) -> PyResult<TableReader> {
    let gateways = gateways.iter().map(|text| ip(text)).collect::<PyResult<Vec<_>>>()?;
    let known = known.unwrap_or_default().into_iter().map(from_python).collect::<PyResult<Vec<_>>>()?;
    let stage: Box<dyn Stage> = match kind {
        "arp" => Box::new(arp::Maker::new(columns, false, known, gateways).map_err(PyKeyError::new_err)?),
        "neighbors" => Box::new(arp::Maker::new(columns, true, known, gateways).map_err(PyKeyError::new_err)?),
        "hosts" => Box::new(hosts::Maker::new(columns).map_err(PyKeyError::new_err)?),
        other => return Err(PyKeyError::new_err(format!("no table {other:?}"))),
    };
    Ok(TableReader::stage(source, filter, stage))
}

fn from_python(known: KnownTuple) -> PyResult<Known> {
    let (netns, interface, vlans, vni, address, holders, current, gateway) = known;
    let ip = ip(&address)?;
    let holders =
        holders.into_iter().map(|(text, first, last)| Ok((mac(&text)?, first, last))).collect::<PyResult<Vec<_>>>()?;
    let vni = vni.unwrap_or(NONE);
    Ok(Known { netns, interface, vlans: pack_vlans(&vlans), vni, ip, holders, current, gateway })
}

fn ip(text: &str) -> PyResult<Ip> {
    let address = text.parse::<IpAddr>().map_err(|_| PyValueError::new_err(format!("{text:?} is no address")))?;
    Ok(Ip::from(address))
}

fn mac(text: &str) -> PyResult<Mac> {
    let wrong = || PyValueError::new_err(format!("{text:?} is no hardware address"));
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        let part = parts.next().filter(|part| part.len() == 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
    }
    if parts.next().is_some() { Err(wrong()) } else { Ok(bytes) }
}

/// What [`from_python`] takes.
pub fn to_python(known: Known) -> KnownTuple {
    let text = |mac: &Mac| mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":");
    (
        known.netns,
        known.interface,
        (0..).map_while(|at| vlan_at(known.vlans, at)).collect(),
        (known.vni != NONE).then_some(known.vni),
        known.ip.addr().to_string(),
        known.holders.iter().map(|(mac, first, last)| (text(mac), *first, *last)).collect(),
        known.current,
        known.gateway,
    )
}

/// Some rows of a table that is still growing.
#[pyclass(module = "sniffkit._core")]
pub struct Chunk {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Chunk {
    /// Rows that are ready.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches }
    }
}

#[pymethods]
impl Chunk {
    /// The Arrow PyCapsule interface. Consumes the rows.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &mut self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = &self.schema;
        let field = arrow_schema::Field::new_struct("", schema.fields().clone(), false)
            .with_metadata(schema.metadata().clone());
        let arrays = std::mem::take(&mut self.batches)
            .into_iter()
            .map(|batch| Ok(Arc::new(StructArray::from(batch)) as ArrayRef));
        // The protocol allows to give another schema; the library's cast would make null what does not fit.
        let _ = requested_schema;
        Ok(to_stream_pycapsule(py, Box::new(ArrayIterator::new(arrays, Arc::new(field))), None)?)
    }
}
