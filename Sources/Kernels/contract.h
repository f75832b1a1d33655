/* What a kernel may assume, and what it must keep. Read this before writing a row; include/maxlinear/plugin.h says what
 * each field means.
 *
 * Alignment    packed weights and the y accumulators begin at multiples of 64 bytes; superblocks of a panel whose packed_size is no
 *              multiple of 64 at multiples of 32. x is aligned to its element.
 *              The source of pack and the destination of unpack have any alignment, also of their rows.
 * Padding      the last panel of a matrix is padded with zero weights to panel_columns; run computes those columns
 *              like the others, and the loops drop them. Nothing else is padded: x has exactly rows * k elements,
 *              packed weights exactly what packed_size says, and no byte beyond any buffer is read. Prefetches may
 *              go anywhere.
 * Tails        rows is 1 to tile_rows and must not change the bits of a row: no arithmetic crosses rows. k is 1 and
 *              up; only the last superblock of a matrix is shorter than MXL_SUPERBLOCK.
 * Aliasing     the buffers of one call do not overlap. x and weights are read by other threads meanwhile; y is the
 *              calling thread's alone.
 * Rounding     the caller has set round to nearest, masked exceptions and denormals kept (x86: MXCSR 0x1F80;
 *              aarch64: FPCR 0) and restores what was there. A row never touches that control word.
 * Bits         fused operations are written as fma; everything else is compiled with -ffp-contract=off. No libm but
 *              fmaf, no reciprocal estimates, min and max as compare and select. A NaN's payload and sign are free. */
#ifndef MXLK_CONTRACT_H
#define MXLK_CONTRACT_H

#include "maxlinear.h"

/* Alignment of packed weights, accumulators and scratch, bytes. */
#define MXLK_ALIGNMENT 64

/* A function that becomes part of its caller, whose CPU variant (a target attribute) it is then compiled for. */
#define MXLK_INLINE static inline __attribute__((always_inline))

/* The most panel_columns a row may have. */
#define MXLK_MOST_PANEL_COLUMNS MXL_MOST_PANEL_COLUMNS

/* bytes rounded up to a multiple of MXLK_ALIGNMENT. */
static inline size_t mxlk_align_up(size_t bytes) {
  return (bytes + MXLK_ALIGNMENT - 1) & ~(size_t)(MXLK_ALIGNMENT - 1);
}

#endif
