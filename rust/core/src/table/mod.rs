//! Rows to columns: the tables of the contract as Arrow record batches, and Parquet.

pub mod column;
mod dhcp;
mod dns;
pub mod file;
mod files;
pub mod flows;
mod http;
pub mod packets;
pub mod parquet;
pub mod reader;
pub mod rows;
mod service;
mod streams;
mod tls;
pub mod write;
