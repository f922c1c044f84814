"""The tour that `adctl quickstart` makes: services, screws, two detectors, the better one, three pictures."""
