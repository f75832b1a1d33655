/* Points that the compiler does not move work across. */
#ifndef MXLK_TILES_SETTLE_H
#define MXLK_TILES_SETTLE_H

/* The vector is computed ahead of this point, into a register, and used behind it. Tests that emulate AVX-512 have their own. */
#ifndef MXLK_SETTLE
#define MXLK_SETTLE(vector) __asm__ volatile("" : "+v"(vector))
#endif

/* What is loaded through the pointer is loaded again: the compiler no longer knows that it points where another does. */
#define MXLK_FORGET(pointer) __asm__("" : "+r"(pointer))

/* Nothing is loaded ahead of this point that is written behind it. */
#define MXLK_SETTLE_MEMORY() __asm__ volatile("" ::: "memory")

#endif
