/* CPUs of their own for the threads of a team. */
#ifndef MXLK_SEATS_H
#define MXLK_SEATS_H

#include <stdatomic.h>
#include <stdint.h>

enum { MXLK_SEATS_WORDS = 16 };

/* CPUs 0 to 1023, a bit each: those on which a thread of the team has begun. All 0 at first. */
typedef struct mxlk_seats {
  _Atomic uint64_t taken[MXLK_SEATS_WORDS];
} mxlk_seats;

/* Each thread of a team calls it as it begins, the caller's first. A worker that has been woken on the CPU of another thread of the team moves to
 * one that none has taken and that its affinity mask allows, where there is one. The mask is afterwards what it was. */
void mxlk_take_seat(mxlk_seats *seats);

#endif
