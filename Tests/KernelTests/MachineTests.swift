import Foundation
import KernelChecks
import Kernels
import Testing

/// Runs body with an environment variable set, or unset when value is nil, and puts the old one back.
private func withVariable<Result>(_ name: String, _ value: String?, _ body: () throws -> Result) rethrows -> Result {
  let old = getenv(name).map { String(cString: $0) }
  defer { if let old { setenv(name, old, 1) } else { unsetenv(name) } }
  if let value { setenv(name, value, 1) } else { unsetenv(name) }
  return try body()
}

/// The cgroup's CPUs where a temporary folder with these files stands for "/".
private func cgroupCPUs(_ files: [String: String]) throws -> Int32 {
  let root = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
  defer { try? FileManager.default.removeItem(at: root) }
  for (path, text) in files {
    let file = root.appendingPathComponent(path)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: file)
  }
  return check_cgroup_cpus(root.path)
}

extension KernelTests {
  @Suite("CPU features")
  struct CPU {
    private var allowed: UInt64? {
      var features: UInt64 = 0
      return mxlk_allowed_features(&features) != 0 ? features : nil
    }

    @Test("without MAXLINEAR_ISA are all that the machine has")
    func unset() {
      #expect(withVariable("MAXLINEAR_ISA", nil) { allowed } == mxlk_cpu_features())
      #expect(withVariable("MAXLINEAR_ISA", "") { allowed } == mxlk_cpu_features())
    }

    @Test("are none under MAXLINEAR_ISA=scalar")
    func scalar() { #expect(withVariable("MAXLINEAR_ISA", "scalar") { allowed } == 0) }

    @Test("grow from each CPU variant to the next")
    func ascending() throws {
      var before: UInt64 = 0
      for index in 0..<mxlk_isa_count() {
        let isa = try #require(mxlk_isa_at(index)).pointee
        let name = String(cString: isa.name)
        #expect(isa.features & before == before, "\(name)")
        // How a CPU runs AVX-512 stays with AVX-512.
        let trait = isa.features & UInt64(1) << 1 != 0 ? UInt64(1) << 7 : 0
        #expect(withVariable("MAXLINEAR_ISA", name) { allowed } == (isa.features | trait) & mxlk_cpu_features())
        before = isa.features
      }
      #expect(mxlk_isa_at(mxlk_isa_count()) == nil)
    }

    @Test("are refused under a name that is no CPU variant", arguments: ["sse9", "AVX2", "avx2 ", "avx"])
    func unknown(name: String) { #expect(withVariable("MAXLINEAR_ISA", name) { allowed } == nil) }

    @Test("have names, one a bit")
    func names() {
      var names: Set<String> = []
      var bit: UInt32 = 0
      while let name = mxlk_cpu_feature_name(bit) {
        names.insert(String(cString: name))
        bit += 1
      }
      #expect(bit == 8 && names.count == 8)
      #expect(mxlk_cpu_features() >> bit == 0)
    }
  }

  @Suite("The registry")
  struct Registry {
    @Test("finds encodings by name and knows no others")
    func encodings() throws {
      for index in 0..<mxlk_encoding_count() {
        let encoding = try #require(mxlk_encoding_at(index))
        #expect(mxlk_encoding_find(encoding.pointee.name) == encoding)
      }
      #expect(mxlk_encoding_at(mxlk_encoding_count()) == nil)
      #expect(mxlk_encoding_find("F33") == nil)
      #expect(mxlk_encoding_find(nil) == nil)
    }

    @Test("adds rows for a plugin's encoding, below all others")
    func generic() throws {
      let index = try #require((0..<mxlk_plugin_count()).first { mxlk_plugin_at($0).map(isChecks) ?? false })
      let plugin = try #require(mxlk_plugin_at(index)).pointee
      #expect(plugin.encoding_count == 1 && plugin.row_count >= 1)
      for index in 0..<plugin.row_count {
        let row = try #require(plugin.rows[index]).pointee
        #expect(row.rank < 0 && row.compute == Int32(MXL_COMPUTE_FLOAT32.rawValue))
        #expect(String(cString: row.name).hasPrefix("mxlk_linear_generic_CHECK_8_f32_"))
      }
      #expect(mxlk_plugin_at(mxlk_plugin_count()) == nil)
    }

    private func isChecks(_ plugin: UnsafePointer<mxlk_plugin>) -> Bool {
      String(cString: plugin.pointee.name) == "checks"
    }

    @Test("holds plugin zero to the rules for plugins")
    func pluginZero() {
      #expect(check_plugin_zero().map { String(cString: $0) } == "")
    }

    @Test("holds rows whose facts make sense, each with an encoding and a scalar row beside it")
    func rows() throws {
      var names: Set<String> = []
      for index in 0..<mxlk_row_count() {
        let row = try #require(mxlk_row_at(index)).pointee
        let name = String(cString: row.name)
        #expect(names.insert(name).inserted, "\(name) is there twice")
        #expect(mxlk_encoding_find(row.encoding) != nil, "\(name)")
        #expect(row.tile_rows >= 1 && row.panel_columns >= 1, "\(name)")
        #expect(row.packed_size(mxlk_row_at(index), Int64(MXL_SUPERBLOCK)) % 32 == 0, "\(name)")
        #expect(name.contains("_\(row.tile_rows)x\(row.panel_columns)__"), "\(name)")
        #expect(mxlk_row_find(row.op, row.encoding, row.compute, 0) != nil, "\(name) has no scalar row")
      }
      #expect(mxlk_row_at(mxlk_row_count()) == nil)
    }

    @Test("chooses the row of highest rank among those the features allow")
    func choice() throws {
      let linear = Int32(MXL_OP_LINEAR.rawValue)
      let float32 = Int32(MXL_COMPUTE_FLOAT32.rawValue)
      for index in 0..<mxlk_isa_count() {
        let features = try #require(mxlk_isa_at(index)).pointee.features
        let chosen = try #require(mxlk_row_find(linear, "F32", float32, features)).pointee
        #expect(chosen.cpu_features & ~features == 0)
        for other in 0..<mxlk_row_count() {
          let row = try #require(mxlk_row_at(other)).pointee
          guard String(cString: row.encoding) == "F32", row.op == linear, row.compute == float32 else { continue }
          if row.cpu_features & ~features == 0 { #expect(row.rank <= chosen.rank) }
        }
      }
      #expect(mxlk_row_find(linear, "F33", float32, .max) == nil)
      #expect(mxlk_row_find(linear, nil, float32, .max) == nil)
      #expect(mxlk_row_find(99, "F32", float32, .max) == nil)
      #expect(mxlk_row_find(linear, "F32", 99, .max) == nil)
    }
  }

  @Suite("The number of threads")
  struct Threads {
    @Test("is read from text that is a number from 1 to 1024")
    func parsing() {
      #expect(check_parse_threads("1") == 1)
      #expect(check_parse_threads("1024") == 1024)
      #expect(check_parse_threads("007") == 7)
      for text in ["", "0", "1025", "-1", "+2", "2 ", " 2", "two", "99999999999999999999", "2.0"] {
        #expect(check_parse_threads(text) == 0, "\(text)")
      }
      #expect(check_parse_threads(nil) == 0)
    }

    @Test("follows MAXLINEAR_NUM_THREADS, and without it the CPUs this process may use")
    func defaults() {
      #expect(withVariable("MAXLINEAR_NUM_THREADS", "5") { mxlk_default_threads() } == 5)
      let machine = min(check_affinity_cpus(), check_cgroup_cpus(""), 1024)
      #expect(withVariable("MAXLINEAR_NUM_THREADS", nil) { mxlk_default_threads() } == machine)
      #expect(withVariable("MAXLINEAR_NUM_THREADS", "none") { mxlk_default_threads() } == machine)
    }

    @Test("is at least one and can be set")
    func setting() {
      let before = mxlk_threads()
      #expect(before >= 1)
      mxlk_set_threads(3)
      #expect(mxlk_threads() == 3)
      mxlk_set_threads(before)
    }

    static let none = Int32.max

    @Test("respects the quota of a cgroup of version 2, rounded up")
    func version2() throws {
      func cpus(_ quota: String) throws -> Int32 {
        try cgroupCPUs(["proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": quota])
      }
      #expect(try cpus("150000 100000\n") == 2)
      #expect(try cpus("200000 100000\n") == 2)
      #expect(try cpus("1000 100000\n") == 1)
      for text in ["max 100000\n", "", "0 100000", "-5 100000", "100000", "100000 0", "many few"] {
        #expect(try cpus(text) == Self.none, "\(text)")
      }
    }

    @Test("respects the smallest quota on the way from the group to the root")
    func ancestors() throws {
      let files = [
        "proc/self/cgroup": "0::/a/b/c\n", "sys/fs/cgroup/a/cpu.max": "300000 100000",
        "sys/fs/cgroup/a/b/c/cpu.max": "800000 100000", "sys/fs/cgroup/a/b/cpu.max": "max 100000",
        "sys/fs/cgroup/x/cpu.max": "100000 100000",
      ]
      #expect(try cgroupCPUs(files) == 3)
    }

    @Test("respects the quota of a cgroup of version 1")
    func version1() throws {
      let groups = "12:cpuset:/d\n4:cpu,cpuacct:/d/e\n3:memory:/d\n"
      func cpus(_ folder: String, _ quota: String) throws -> Int32 {
        let files = [
          "proc/self/cgroup": groups, "sys/fs/cgroup/cpu/\(folder)cpu.cfs_quota_us": quota,
          "sys/fs/cgroup/cpu/\(folder)cpu.cfs_period_us": "50000\n",
        ]
        return try cgroupCPUs(files)
      }
      #expect(try cpus("d/e/", "120000\n") == 3)
      #expect(try cpus("", "120000\n") == 3, "a container sees its own group at the mount")
      #expect(try cpus("d/e/", "-1\n") == Self.none)
    }

    @Test("is not limited where there is no cgroup")
    func noCgroup() throws {
      #expect(try cgroupCPUs(["proc/self/other": ""]) == Self.none)
      #expect(try cgroupCPUs(["proc/self/cgroup": "nonsense\n::\n\n"]) == Self.none)
      #expect(check_cgroup_cpus("/nowhere/at/all") == Self.none)
    }
  }

  @Suite("Memory")
  struct Memory {
    @Test("is aligned to cache lines, and to huge pages where it is large")
    func alignment() {
      for bytes in [1, 63, 64, 65, 4096, 1 << 20] { #expect(check_allocate(bytes, 64) != 0, "\(bytes)") }
      #expect(check_allocate(4 << 20, 2 << 20) != 0)
      #expect(check_allocate(5 << 20 + 1, 2 << 20) != 0)
    }

    @Test("of absurd or no size is refused")
    func refusal() {
      for bytes in [0, Int.max, -1, 1 << 62, 1 << 47] {
        #expect(mxlk_allocate(Int(bitPattern: UInt(bitPattern: bytes))) == nil, "\(bytes)")
      }
      mxlk_free(nil)
    }

    @Test("of a mapped file can be given back and is read again")
    func release() throws {
      let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
      defer { try? FileManager.default.removeItem(at: file) }
      try Data((0..<100_001).map { UInt8(truncatingIfNeeded: $0 &* 31) }).write(to: file)
      #expect(check_release_pages(file.path) != 0)
      #expect(mxlk_resident_bytes(nil, 0) == 0)
    }
  }

  @Suite("Seats")
  struct Seats {
    @Test("A worker on its caller's CPU moves to another, and no further than it may", arguments: [1, 2, 3] as [Int32])
    func moved(cpus: Int32) { #expect(check_seats(cpus) != 0) }
  }

  @Suite("Pace")
  struct Pace {
    @Test("learns whether one thread or two are faster, disturbed or not", arguments: [1, 2] as [Int32])
    func threads(faster: Int32) { #expect(check_pace_of_threads(faster) != 0) }

    @Test("counts calls that are stalled") func stalls() { #expect(check_pace_of_stalls() != 0) }

    @Test("learns which of two ways is faster", arguments: [0, 1] as [Int32])
    func ways(faster: Int32) { #expect(check_pace_of_ways(faster) != 0) }
  }
}
