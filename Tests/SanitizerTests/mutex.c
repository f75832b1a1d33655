/* What ThreadSanitizer has to be told of Swift's Mutex: where threads meet at one, its waiting and waking are functions of the Swift runtime, which is
 * not instrumented. The linker puts these around them (--wrap). */
#include <stdint.h>

void __tsan_acquire(void *address);
void __tsan_release(void *address);

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

SWIFT void runtime_lock(uint32_t state, SELF) __asm__("__real_" LOCK_SLOW);
SWIFT void runtime_unlock(SELF) __asm__("__real_" UNLOCK_SLOW);
SWIFT void lock(uint32_t state, SELF) __asm__("__wrap_" LOCK_SLOW);
SWIFT void unlock(SELF) __asm__("__wrap_" UNLOCK_SLOW);

SWIFT void lock(uint32_t state, SELF) {
  runtime_lock(state, self);
  __tsan_acquire(self);
}

SWIFT void unlock(SELF) {
  __tsan_release(self);
  runtime_unlock(self);
}
