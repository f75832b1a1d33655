/* The emulated instructions against their definitions, written out in C lane by lane, on random bits. */
#ifndef EMULATED_INSTRUCTIONS_H
#define EMULATED_INSTRUCTIONS_H

#include "kernel_checks.h"

check_result check_emulated_instructions(void);

#endif
