/// The name that was probably meant by a misspelt one; nil if none is near.
func nearestName(to written: String, among names: [String]) -> String? {
    let letters = Array(written.utf8)
    guard (2...40).contains(letters.count) else { return nil }
    let distances = names.filter { $0.utf8.count <= 60 }.map {
        (name: $0, distance: editDistance(letters, Array($0.utf8)))
    }
    guard let nearest = distances.min(by: { $0.distance < $1.distance }) else { return nil }
    return nearest.distance <= (letters.count < 6 ? 1 : 2) ? nearest.name : nil
}
