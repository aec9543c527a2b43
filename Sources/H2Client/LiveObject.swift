/// An object whose state its loop or other threads change.
///
/// Reflection (`dump`, `String(reflecting:)`, a test library that shows the operands of a failed expectation) reads
/// stored properties without their lock, and has crashed in an array that a loop was changing. So it sees none of them.
/// Each class that a public value leads to has this conformance, if anything in it changes.
package protocol LiveObject: AnyObject, CustomReflectable {}

extension LiveObject {
    /// A mirror without children.
    public var customMirror: Mirror {
        Mirror(self, children: [], displayStyle: .class, ancestorRepresentation: .suppressed)
    }
}
