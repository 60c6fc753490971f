// npy, NumPy's format (NEP 1): "\x93NUMPY", version (major, minor), the header's length (uint16, from version 2 uint32,
// little-endian), the header: a Python dictionary literal with exactly the keys descr, fortran_order and shape; then
// the values. Versions 1, 2 and 3 differ in the length field and in the header's text encoding only. NumPy has no name
// for the bfloat16 of ml_dtypes, and writes V2 (two bytes of whatever), which nobody else writes for vectors.
#include "dataset/npy.hpp"

#include "dataset/block.hpp"

#include <fmt/format.h>

#include <array>
#include <string>
#include <vector>

namespace hotindex::bench {

namespace {

constexpr std::uint32_t max_header =
    1u << 20; // NumPy itself writes some 118 bytes, and refuses to evaluate above 10,000

struct Header {
    std::string descr;
    bool fortran_order = false;
    std::vector<std::uint64_t> shape;
    std::uint64_t shape_offset = 0;
};

/// Reads the header's dictionary literal. Just what NumPy writes: strings, True, False and a tuple of integers.
class HeaderParser {
  public:
    HeaderParser(const ByteStream& stream, std::string_view text, std::uint64_t start)
        : stream_(stream), text_(text), start_(start) {}

    [[nodiscard]] Header parse() {
        Header header;
        bool descr = false;
        bool order = false;
        bool shape = false;
        expect('{');
        while (!accept('}')) {
            const std::uint64_t at = here();
            const std::string key = string();
            expect(':');
            skip_space();
            bool* seen = key == "descr" ? &descr : key == "fortran_order" ? &order : key == "shape" ? &shape : nullptr;
            if (seen == nullptr || *seen)
                fail(at,
                     fmt::format("the npy header has {} key '{}'", seen == nullptr ? "the unknown" : "twice the", key));
            *seen = true;
            if (seen == &descr) {
                if (peek() == '[')
                    stream_.fail(here(), "the array has structured elements",
                                 "give a plain array of numbers, for example numpy.save(path, x.astype('float32'))");
                header.descr = string();
            } else if (seen == &order) {
                header.fortran_order = boolean();
            } else {
                header.shape_offset = here();
                header.shape = tuple();
            }
            if (!accept(',')) {
                expect('}');
                break;
            }
        }
        skip_space();
        if (position_ != text_.size())
            fail(here(), "the npy header has text after its dictionary");
        if (!descr || !order || !shape)
            fail(start_, fmt::format("the npy header lacks the key '{}'", !descr   ? "descr"
                                                                          : !order ? "fortran_order"
                                                                                   : "shape"));
        return header;
    }

  private:
    [[nodiscard]] std::uint64_t here() const noexcept { return start_ + position_; }
    [[nodiscard]] char peek() const noexcept { return position_ < text_.size() ? text_[position_] : '\0'; }

    [[noreturn]] void fail(std::uint64_t at, std::string_view reason) const {
        stream_.fail(at, reason, "write the file with numpy.save, or get it again");
    }

    void skip_space() noexcept {
        while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r')
            ++position_;
    }

    [[nodiscard]] bool accept(char wanted) noexcept {
        skip_space();
        if (peek() != wanted)
            return false;
        ++position_;
        return true;
    }

    void expect(char wanted) {
        if (!accept(wanted))
            fail(here(), fmt::format("the npy header is not a dictionary as NumPy writes it ('{}' expected)", wanted));
    }

    [[nodiscard]] std::string string() {
        skip_space();
        const char quote = peek();
        if (quote != '\'' && quote != '"')
            fail(here(), "the npy header is not a dictionary as NumPy writes it (a string expected)");
        const std::size_t end = text_.find(quote, position_ + 1);
        if (end == std::string_view::npos)
            fail(here(), "the npy header has a string without end");
        std::string result(text_.substr(position_ + 1, end - position_ - 1));
        position_ = end + 1;
        return result;
    }

    [[nodiscard]] bool boolean() {
        for (const std::string_view word : {"True", "False"}) {
            if (text_.substr(position_).starts_with(word)) {
                position_ += word.size();
                return word == "True";
            }
        }
        fail(here(), "the npy header's fortran_order is neither True nor False");
    }

    [[nodiscard]] std::vector<std::uint64_t> tuple() {
        std::vector<std::uint64_t> sizes;
        expect('(');
        while (!accept(')')) {
            skip_space();
            sizes.push_back(integer());
            if (!accept(',')) {
                expect(')');
                break;
            }
        }
        return sizes;
    }

    [[nodiscard]] std::uint64_t integer() {
        const std::uint64_t at = here();
        std::uint64_t value = 0;
        bool digits = false;
        for (; peek() >= '0' && peek() <= '9'; ++position_) {
            const auto digit = static_cast<std::uint64_t>(peek() - '0');
            if (value > (~std::uint64_t{0} - digit) / 10)
                fail(at, "the npy header's shape has a size beyond 64 bits");
            value = value * 10 + digit;
            digits = true;
        }
        if (!digits)
            fail(at, "the npy header's shape is not a tuple of sizes (an integer expected)");
        if (peek() == 'L') // Python 2 writes its long integers so
            ++position_;
        return value;
    }

    const ByteStream& stream_;
    std::string_view text_;
    std::uint64_t start_;
    std::size_t position_ = 0;
};

struct Type {
    Element element;
    std::endian order;
};

[[nodiscard]] std::optional<Type> type_of(std::string_view descr) noexcept {
    if (descr == "bfloat16")
        return Type{Element::bf16, std::endian::little};
    if (descr.size() != 3)
        return std::nullopt;
    std::endian order = std::endian::native; // '=' and '|'
    if (descr[0] == '<')
        order = std::endian::little;
    else if (descr[0] == '>')
        order = std::endian::big;
    else if (descr[0] != '|' && descr[0] != '=')
        return std::nullopt;
    const std::string_view kind = descr.substr(1);
    constexpr std::array<std::pair<std::string_view, Element>, 13> kinds{{{"u1", Element::u8},
                                                                          {"b1", Element::u8},
                                                                          {"i1", Element::i8},
                                                                          {"u2", Element::u16},
                                                                          {"i2", Element::i16},
                                                                          {"u4", Element::u32},
                                                                          {"i4", Element::i32},
                                                                          {"u8", Element::u64},
                                                                          {"i8", Element::i64},
                                                                          {"f2", Element::f16},
                                                                          {"V2", Element::bf16},
                                                                          {"f4", Element::f32},
                                                                          {"f8", Element::f64}}};
    for (const auto& [name, element] : kinds)
        if (name == kind)
            return Type{element, order};
    return std::nullopt;
}

} // namespace

Matrix<float> read_npy(const std::filesystem::path& file, const ReadOptions& options) {
    check_options(options);
    ByteStream stream(file);
    std::array<std::byte, 8> start{};
    stream.read(start, "the npy header");
    constexpr std::string_view magic = "\x93NUMPY";
    for (std::size_t i = 0; i != magic.size(); ++i)
        if (start[i] != static_cast<std::byte>(magic[i]))
            stream.fail(i, R"(an npy file begins with "\x93NUMPY", this one does not)",
                        "the file is damaged or of another format");
    const auto major = std::to_integer<unsigned>(start[6]);
    if (major < 1 || major > 3)
        stream.fail(6, fmt::format("npy version {} is not known", major), "write the file as version 1, 2 or 3");

    std::array<std::byte, 4> length_bytes{}; // a version 1 length leaves the upper half 0
    const std::uint64_t length_offset = stream.offset();
    stream.read(std::span(length_bytes).first(major == 1 ? 2 : 4), "the npy header's length");
    const auto length = decode<std::uint32_t>(length_bytes.data(), std::endian::little);
    if (length > max_header)
        stream.fail(length_offset, fmt::format("the npy header is {} bytes long", length),
                    fmt::format("at most {} bytes are read: the file is damaged, get it again", max_header));
    const std::uint64_t text_offset = stream.offset();
    stream.expect(length, "the npy header");
    std::string text(length, '\0');
    stream.read(std::as_writable_bytes(std::span(text)), "the npy header");

    const Header header = HeaderParser(stream, text, text_offset).parse();
    const auto type = type_of(header.descr);
    if (!type)
        stream.fail(
            text_offset, fmt::format("elements of type '{}' are not supported", header.descr),
            "supported are bool, integers of 1 to 8 bytes, float16, bfloat16, float32 and float64: convert, for "
            "example numpy.save(path, x.astype('float32'))");
    if (header.shape.size() < 2)
        stream.fail(header.shape_offset,
                    fmt::format("the array has {} dimension{}, vectors need 2 or more", header.shape.size(),
                                header.shape.size() == 1 ? "" : "s"),
                    "reshape it to (rows, dimension)");
    const auto columns = product(std::span(header.shape).subspan(1));
    if (!columns)
        stream.fail(header.shape_offset, "the sizes of the shape overflow 64 bits",
                    "the header is damaged: get the file again");
    const std::span<const std::uint64_t> others = std::span(header.shape).subspan(1);
    return read_block(stream,
                      {.element = type->element,
                       .order = type->order,
                       .rows = header.shape[0],
                       .columns = *columns,
                       .fortran = header.fortran_order ? others : std::span<const std::uint64_t>{}},
                      header.shape_offset, options);
}

} // namespace hotindex::bench
