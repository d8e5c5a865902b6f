//! Map types as aya wants them.

use bytemuck::TransparentWrapper;

/// A map key or value of `imblock_common::layout`, for aya.
#[derive(Clone, Copy, Debug, TransparentWrapper)]
#[repr(transparent)]
pub(super) struct Wire<T>(pub(super) T);

// SAFETY: `bytemuck::Pod` is proved by its derive: `repr(C)`, no padding, every bit pattern valid.
// The wrapper is transparent.
unsafe impl<T: bytemuck::Pod> aya::Pod for Wire<T> {}
