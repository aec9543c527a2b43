/// Carries a loop-bound value through a `@Sendable` closure that runs on that loop.
///
/// Invariant behind `@unchecked Sendable`: it is passed only to `execute` or `resolve` of the loop that owns the value.
package struct LoopBound<Value>: @unchecked Sendable {
    package let value: Value
    package init(_ value: Value) { self.value = value }
}
