import H2Platform

/// The CPU that the process may use by the quotas of its control groups, as in containers.
enum CPUQuota {
    /// In processors: 0.5 is half of one. Infinite if there is no quota, or it cannot be read.
    static let current = current { text(of: $0) }

    /// The smallest quota of the process's groups and their ancestors, each of which limits all groups below it.
    /// - Parameter read: returns the text of a file, or nil if there is none.
    static func current(_ read: (String) -> String?) -> Double {
        guard let groups = read("/proc/self/cgroup") else { return .infinity }
        let unified = folders(of: groups, controller: nil).compactMap { folder in
            read("\(folder)/cpu.max").flatMap { processors(cpuMax: $0) }
        }
        let legacy = folders(of: groups, controller: "cpu").compactMap { folder in
            guard let quota = read("\(folder)/cpu.cfs_quota_us"), let period = read("\(folder)/cpu.cfs_period_us")
            else { return Double?.none }
            return processors(quota: quota, period: period)
        }
        return (unified + legacy).min() ?? .infinity
    }

    /// The folders of the process's group and its ancestors, from the text of /proc/self/cgroup.
    /// - Parameter controller: of version 1; nil for version 2, which has one tree for all controllers.
    static func folders(of groups: String, controller: String?) -> [String] {
        for line in groups.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3, fields[2].hasPrefix("/") else { continue }
            let root: String
            if let controller {
                guard fields[1].split(separator: ",").contains(Substring(controller)) else { continue }
                root = "/sys/fs/cgroup/\(fields[1])"
            } else {
                guard fields[0] == "0", fields[1].isEmpty else { continue }
                root = "/sys/fs/cgroup"
            }
            // In a container the path may be the host's, and the container's own group is at the root.
            let names = fields[2].split(separator: "/")
            return (0...names.count).reversed().map { root + names.prefix($0).map { "/\($0)" }.joined() }
        }
        return []
    }

    /// The quota in cpu.max (version 2), such as `50000 100000` for half a processor; nil for no limit, and for anything else.
    static func processors(cpuMax text: String) -> Double? {
        let fields = text.split { $0 == " " || $0 == "\n" }
        guard fields.count == 2 else { return nil }
        return processors(quota: String(fields[0]), period: String(fields[1]))
    }

    /// The quota in cpu.cfs_quota_us and cpu.cfs_period_us (version 1); nil for no limit, which is -1.
    static func processors(quota: String, period: String) -> Double? {
        func number(_ text: String) -> Int? { text.split { $0 == " " || $0 == "\n" }.first.flatMap { Int($0) } }
        guard let quota = number(quota), let period = number(period), quota > 0, period > 0 else { return nil }
        return Double(quota) / Double(period)
    }

    private static func text(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { _ = close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 16_384)
        let count = read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { return nil }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
