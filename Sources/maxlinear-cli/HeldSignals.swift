import ArgumentParser

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Makes a file that grows beyond a limit, or a reader of our lines that went away, an error like others.
func ignoreFailedWrites() {
  signal(SIGXFSZ, SIG_IGN)
  signal(SIGPIPE, SIG_IGN)
}

/// The signals that end a process unless it says otherwise, held back so that work can be undone first: they are asked for between steps.
///
/// Blocked and looked at, not handled: a handler may do next to nothing. Threads that are made afterwards block them too.
struct HeldSignals {
  /// A held signal has come.
  struct Interrupted: Error {}

  private let numbers: [Int32]

  init() {
    var numbers: [Int32] = []
    for number in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU] {
      // Who started the process may have chosen to ignore it, as nohup does.
      let previous = signal(number, SIG_DFL)
      if unsafeBitCast(previous, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) {
        signal(number, SIG_IGN)
      } else {
        numbers.append(number)
      }
    }
    self.numbers = numbers
    mask(SIG_BLOCK)
  }

  func check() throws {
    var pending = sigset_t()
    guard sigpending(&pending) == 0 else { return }
    if numbers.contains(where: { sigismember(&pending, $0) == 1 }) { throw Interrupted() }
  }

  /// Runs a command's work. A signal that it has found in `check`, and undone what it did, ends the process.
  static func during(_ work: (HeldSignals) throws -> Void) throws {
    let signals = HeldSignals()
    do {
      try work(signals)
    } catch is Interrupted {
      signals.release()
      throw ExitCode.failure
    }
  }

  /// Lets them through: one that has come ends the process, as whoever sent it expects.
  func release() { mask(SIG_UNBLOCK) }

  private func mask(_ how: Int32) {
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in numbers { sigaddset(&signals, number) }
    pthread_sigmask(how, &signals, nil)
  }
}
