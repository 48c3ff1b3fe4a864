//! Random streams, each derived from its purpose and a key such as (seed, step) alone. So drawing more or less for one purpose
//! never changes what another draws, and a training that resumes at a step needs no draws of the steps before.
//!
//! ```
//! use random_streams::{RngExt, stream};
//! let draw = |purpose, seed, step| stream(purpose, &[&seed, &step]).random::<u64>();
//! assert_eq!(draw("batches", 1337, 10), draw("batches", 1337, 10));
//! assert_ne!(draw("batches", 1337, 10), draw("batches", 1337, 11));
//! assert_ne!(draw("batches", 1337, 10), draw("dropout", 1337, 10));
//! ```

pub use rand::seq::{IndexedRandom, SliceRandom};
pub use rand::{Rng, RngExt, SeedableRng};
pub use rand_chacha::ChaCha8Rng;
pub use rand_distr::{Distribution, StandardNormal};

/// A part of a stream's key.
pub trait KeyPart {
    /// Hashes its bytes: of a number a fixed count, of a string its length first.
    fn absorb(&self, hasher: &mut blake3::Hasher);
}

impl KeyPart for u64 {
    fn absorb(&self, hasher: &mut blake3::Hasher) {
        hasher.update(&self.to_le_bytes());
    }
}

impl KeyPart for &str {
    fn absorb(&self, hasher: &mut blake3::Hasher) {
        (self.len() as u64).absorb(hasher);
        hasher.update(self.as_bytes());
    }
}

/// The random stream of a purpose and a key: ChaCha with 8 rounds, seeded with the BLAKE3 hash of both.
pub fn stream(purpose: &str, key: &[&dyn KeyPart]) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new();
    purpose.absorb(&mut hasher);
    for part in key {
        part.absorb(&mut hasher);
    }
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

/// A seed derived from a seed and an index, for consumers that take a seed and not a stream.
pub fn derive(seed: u64, index: u64) -> u64 {
    let mut hasher = blake3::Hasher::new();
    seed.absorb(&mut hasher);
    index.absorb(&mut hasher);
    let hash = hasher.finalize();
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
}
