//! The channel binding `tls-server-end-point` (RFC 5929, section 4).

use rustls::crypto::CryptoProvider;
use rustls::crypto::hash::{Hash, HashAlgorithm};

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const PSS_HASH: u8 = 0xa0;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
const ECDSA_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
const SHA2: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];

/// The hash of `certificate` (DER) with the hash of its signature, if `provider` has that one.
pub(super) fn binding(certificate: &[u8], provider: &CryptoProvider) -> Option<Vec<u8>> {
    let algorithm = signature_hash(certificate)?;
    let hash = provider.cipher_suites.iter().find_map(|suite| {
        let hash: &'static dyn Hash = suite.tls13()?.common.hash_provider;
        (hash.algorithm() == algorithm).then_some(hash)
    })?;
    Some(hash.hash(certificate).as_ref().to_vec())
}

/// The hash of a certificate's signature; MD5 and SHA-1 count as SHA-256.
fn signature_hash(certificate: &[u8]) -> Option<HashAlgorithm> {
    let (fields, _) = element(certificate, SEQUENCE)?;
    let (_, fields) = element(fields, SEQUENCE)?;
    let (algorithm, _) = element(fields, SEQUENCE)?;
    let (identifier, parameters) = element(algorithm, OBJECT_IDENTIFIER)?;
    if identifier == ECDSA_SHA1 {
        return Some(HashAlgorithm::SHA256);
    }
    let (last, family) = identifier.split_last()?;
    match (family, last) {
        (RSA, 4 | 5 | 11) | (ECDSA_SHA2, 2) => Some(HashAlgorithm::SHA256),
        (RSA, 12) | (ECDSA_SHA2, 3) => Some(HashAlgorithm::SHA384),
        (RSA, 13) | (ECDSA_SHA2, 4) => Some(HashAlgorithm::SHA512),
        (RSA, 10) => pss_hash(parameters),
        _ => None,
    }
}

/// The hash that the parameters of RSASSA-PSS name; without one it is SHA-1.
fn pss_hash(parameters: &[u8]) -> Option<HashAlgorithm> {
    let (parameters, _) = element(parameters, SEQUENCE)?;
    let Some((hash, _)) = element(parameters, PSS_HASH) else {
        return Some(HashAlgorithm::SHA256);
    };
    let (hash, _) = element(hash, SEQUENCE)?;
    let (identifier, _) = element(hash, OBJECT_IDENTIFIER)?;
    match identifier.split_last()? {
        (1, SHA2) => Some(HashAlgorithm::SHA256),
        (2, SHA2) => Some(HashAlgorithm::SHA384),
        (3, SHA2) => Some(HashAlgorithm::SHA512),
        _ => None,
    }
}

/// The content of the first element of `der`, if it has this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (len, rest) = rest.split_first()?;
    let (len, rest) = match *len {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(len & 0x7f))?;
            let len = bytes
                .iter()
                .fold(0, |len, byte| len << 8 | usize::from(*byte));
            (len, rest)
        }
        _ => return None,
    };
    let content = rest.split_at_checked(len)?;
    (*first == tag).then_some(content)
}
