//! Rows to columns: the tables of the contract as Arrow record batches, and Parquet.

mod address;
pub mod arp;
pub mod column;
mod dhcp;
mod dns;
pub mod file;
mod files;
mod flow_rows;
pub mod flows;
mod held;
pub mod hosts;
mod http;
mod in_order;
pub mod keep;
mod metadata;
pub mod packets;
pub mod parquet;
pub mod reader;
pub mod rows;
pub mod service;
mod sink;
pub mod stage;
mod streams;
pub mod text;
mod tls;
pub mod write;
